// hu
import { en, type Catalogue } from "./en.ts";
export const hu: Catalogue = { ...en, direction: "ltr" };
