// The pictures of a message, in places whose size is known before they are here.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import type { FileInfo } from "../../core/index.ts";
import { Picture } from "../lazy.ts";

/** The limits of the aspect ratio in which pictures are shown. */
const [NARROWEST, WIDEST] = [0.5, 2.5];
/** In a grid. */
const SHOWN = 3;

/** Its width by its height, within what can be drawn. */
export const ratioOf = ({ w, h }: FileInfo): number => Math.min(WIDEST, Math.max(NARROWEST, w && h ? w / h : 4 / 3));

/** The alternative text of a picture: the caption, if it is the only one, or its name. */
const altOf = (file: FileInfo, caption: string, count: number): string => (count === 1 && caption !== "" ? caption : file.name || words.value.filesBrief.picture(1));

/** The pictures of a message: two side by side, of more a large one and two small ones. */
export function Pictures({ files, caption }: { files: readonly FileInfo[]; caption: string }): JSX.Element {
  const shown = files.slice(0, SHOWN);
  const single = files.length === 1;
  return (
    <div class={`pictures of-${shown.length}`} style={single && files[0] ? { "--ratio": String(ratioOf(files[0])) } : {}}>
      {shown.map((file, i) => (
        <div key={file.id} class="picture">
          <Picture file={file} alt={altOf(file, caption, files.length)} more={i === SHOWN - 1 ? files.length - SHOWN : 0} />
        </div>
      ))}
    </div>
  );
}
