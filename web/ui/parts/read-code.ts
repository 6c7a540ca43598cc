// Reads a QR code in a picture, where the browser can.

const FORMAT = "qr_code";

interface Detector {
  detect: (picture: ImageBitmap) => Promise<readonly { rawValue: string }[]>;
}
interface DetectorMaker {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats: () => Promise<readonly string[]>;
}
const maker = (): DetectorMaker | undefined => (globalThis as { BarcodeDetector?: DetectorMaker }).BarcodeDetector;

/** Whether this browser reads QR codes. */
export const canReadCodes = async (): Promise<boolean> => (await maker()?.getSupportedFormats())?.includes(FORMAT) ?? false;

/** What the code in a picture says; empty if there is none. */
export async function codeIn(file: File): Promise<string> {
  const made = maker();
  const picture = await createImageBitmap(file).catch(() => null);
  if (!made || !picture) return "";
  try {
    const [code] = await new made({ formats: [FORMAT] }).detect(picture);
    return code?.rawValue ?? "";
  } finally {
    picture.close();
  }
}
