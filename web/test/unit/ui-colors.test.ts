// Text can be read in both themes: the contrast of the tokens, of every conversation's colour and of every avatar.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { colors, type Pair, personColors } from "../../ui/parts/colors.ts";

type Theme = "light" | "dark";
const themes: readonly Theme[] = ["light", "dark"];

function luminance(hex: string): number {
  const full = hex.length === 4 ? `#${[...hex.slice(1)].map((c) => c + c).join("")}` : hex;
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const c = Number.parseInt(full.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** WCAG 2.2's contrast ratio. */
function contrast(a: string, b: string): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

const css = readFileSync("ui/styles/tokens.css", "utf8");
const tokens = new Map<string, Pair>(
  [...css.matchAll(/--(\w+): light-dark\((#\w+), (#\w+)\)/g)].map(([, name = "", light = "", dark = ""]) => [name, { light, dark }]),
);
const token = (name: string, theme: Theme): string => {
  const found = tokens.get(name)?.[theme];
  assert.ok(found, name);
  return found;
};
function atLeast(least: number, a: string, b: string, what: string): void {
  assert.ok(contrast(a, b) >= least, `${what}: ${contrast(a, b).toFixed(2)} is below ${least}`);
}

for (const theme of themes) {
  test(`the tokens, ${theme}`, () => {
    for (const ground of ["ground", "surface", "raised", "sunken", "field", "hover", "selected", "tint"]) {
      atLeast(7, token("ink", theme), token(ground, theme), `ink on ${ground}`);
      atLeast(4.5, token("ink2", theme), token(ground, theme), `ink2 on ${ground}`);
      if (ground !== "tint") atLeast(4.5, token("ink3", theme), token(ground, theme), `ink3 on ${ground}`);
      atLeast(3, token("edge", theme), token(ground === "selected" ? "surface" : ground, theme), `edge on ${ground}`);
      atLeast(4.5, token("accent", theme), token(ground, theme), `accent on ${ground}`);
    }
    atLeast(4.5, token("onaccent", theme), token("accent", theme), "onaccent on accent");
    for (const name of ["danger", "warn", "ok"]) {
      atLeast(4.5, token(name, theme), token(`${name}tint`, theme), `${name} on its tint`);
      atLeast(4.5, token(name, theme), token("surface", theme), `${name} on surface`);
    }
    atLeast(7, token("ink", theme), token("mark", theme), "ink on mark");
    atLeast(3, token("online", theme), token("ground", theme), "online on ground");
  });

  test(`every conversation's colour, ${theme}`, () => {
    const steps = Array.from({ length: 18 }, (_, i) => Math.round((i * 255) / 17).toString(16).padStart(2, "0"));
    for (const r of steps) {
      for (const g of steps) {
        for (const b of steps) {
          const found = colors(`#${r}${g}${b}`);
          if (!found) continue;
          atLeast(7, token("ink", theme), found.own[theme], `ink on #${r}${g}${b}`);
          atLeast(4.5, token("ink2", theme), found.own[theme], `ink2 on #${r}${g}${b}`);
          atLeast(3, found.spine[theme], token("selected", theme), `spine of #${r}${g}${b}`);
          atLeast(4.5, found.letter[theme], found.ground[theme], `letter of #${r}${g}${b}`);
        }
      }
    }
  });

  test(`every avatar, ${theme}`, () => {
    for (let i = 0; i < 200; i++) {
      const { ground, letter } = personColors(i.toString(16).padStart(32, "0"));
      atLeast(7, letter[theme], ground[theme], `avatar ${i}`);
    }
  });
}

test("the example of the standard, and what has no hue", () => {
  const found = colors("#bae1ff");
  assert.deepEqual(found?.own, { light: "#ddf0fe", dark: "#21303b" });
  assert.deepEqual(found?.spine, { light: "#477a9f", dark: "#7db2d9" });
  for (const none of ["", "#ffffff", "#000000", "#808080", "red", "#12345"]) assert.equal(colors(none), null, none);
});
