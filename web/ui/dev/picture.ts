// Pictures of the sample data, drawn when they are asked for.

import type { FileInfo } from "../../core/index.ts";

/** A hill, a lake and a sky whose colours depend on the name. */
export async function pictureBytes({ name, w, h }: FileInfo): Promise<Uint8Array<ArrayBuffer>> {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [w ?? 800, h ?? 600];
  const context = canvas.getContext("2d");
  if (!context) throw new Error("there is no canvas");
  const hue = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0) * 37, 0) % 360;
  const [width, height] = [canvas.width, canvas.height];
  const part = (color: string, points: readonly (readonly [number, number])[]): void => {
    context.fillStyle = color;
    context.beginPath();
    for (const [x, y] of points) context.lineTo(x * width, y * height);
    context.fill();
  };
  part(`hsl(${hue} 60% 82%)`, [[0, 0], [1, 0], [1, 1], [0, 1]]);
  part(`hsl(${hue + 40} 30% 45%)`, [[0, 0.7], [0.3, 0.35], [0.5, 0.55], [0.75, 0.25], [1, 0.6], [1, 1], [0, 1]]);
  part(`hsl(${hue + 160} 30% 60%)`, [[0, 0.78], [1, 0.74], [1, 1], [0, 1]]);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return new Uint8Array((await blob?.arrayBuffer()) ?? new ArrayBuffer(0));
}
