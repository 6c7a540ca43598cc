// Names that other users chose and no server has checked: of groups, and in links.

/** Maximum characters of such a name. */
const MAX_NAME = 100;

// The joiners are letters of some languages, and parts of emoji.
const removed = /[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu;
const visible = /[^\p{Default_Ignorable_Code_Point}\p{Z}]/u;

/** A name that is safe to show: of one line, without control and format characters, which hide text or turn it round; empty if nothing shows. */
export function shownName(name: string): string {
  const shown = [...name.toWellFormed().replace(removed, "").trim()].slice(0, MAX_NAME).join("");
  return visible.test(shown) ? shown : "";
}
