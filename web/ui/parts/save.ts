// Saving what the page has made: as a download, never as a page.

/** The address is needed until the browser has begun. */
const BEGUN_MS = 60_000;

/** Saves it under a name. */
export function saveAs(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), BEGUN_MS);
}
