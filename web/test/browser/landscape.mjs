// Photos for the README's pictures: a lake at three hours of a day, painted by code, the same each time.

/** Paints a lake in the page of `tab`; returns it as JPEG. `hour` is "morning", "noon" or "evening". */
export async function landscape(tab, hour, { width = 1600, height = 1200 } = {}) {
  const base64 = await tab.evaluate(
    ([name, w, h]) => {
      const { sky, sun, ridges, at } = {
        morning: { sky: ["#8fb3cf", "#f3d9c0"], sun: "#fff3d6", ridges: ["#a9b7c4", "#7f97a6", "#53707c", "#2e4a50"], at: [0.28, 0.42] },
        noon: { sky: ["#3f8fcf", "#cfe8f5"], sun: "#ffffff", ridges: ["#9dbfd0", "#6f9f98", "#4b8363", "#2f6043"], at: [0.7, 0.16] },
        evening: { sky: ["#3a3f6b", "#f08a4b"], sun: "#ffd9a0", ridges: ["#8a5d7a", "#643f66", "#43304f", "#241f33"], at: [0.62, 0.48] },
      }[name];
      const canvas = Object.assign(document.createElement("canvas"), { width: w, height: h });
      const context = canvas.getContext("2d");
      const shore = h * 0.62;
      const fade = (from, to, ...colors) => {
        const gradient = context.createLinearGradient(0, from, 0, to);
        colors.forEach((color, i) => gradient.addColorStop(i / (colors.length - 1), color));
        return gradient;
      };
      context.fillStyle = fade(0, shore, ...sky);
      context.fillRect(0, 0, w, h);
      const glow = context.createRadialGradient(at[0] * w, at[1] * h, 0, at[0] * w, at[1] * h, h * 0.5);
      glow.addColorStop(0, sun);
      glow.addColorStop(0.07, `${sun}cc`);
      glow.addColorStop(0.09, `${sun}55`);
      glow.addColorStop(1, `${sun}00`);
      context.fillStyle = glow;
      context.fillRect(0, 0, w, h);
      // Each ridge is a sum of waves, finer and darker towards the viewer.
      ridges.forEach((color, i) => {
        const base = shore - h * (0.24 - 0.07 * i);
        context.fillStyle = color;
        context.beginPath();
        context.moveTo(0, shore);
        for (let x = 0; x <= w; x += 2) {
          const t = x / w;
          const y = Math.sin(t * (5 + 2 * i) + i * 2.1) * 0.05 + Math.sin(t * (17 + 5 * i) + i) * 0.016 + Math.sin(t * (61 + 23 * i)) * 0.004 + Math.sin(t * 211 + i) * 0.002 * i;
          context.lineTo(x, Math.min(shore, base + y * h));
        }
        context.lineTo(w, shore);
        context.fill();
      });
      // The lake mirrors it, flattened and drawn in strips that are shifted.
      const whole = Object.assign(document.createElement("canvas"), { width: w, height: h });
      whole.getContext("2d").drawImage(canvas, 0, 0);
      for (let y = 0; y < h - shore; y += 3) {
        const from = Math.max(0, shore - y * 1.4 - 3);
        const shift = Math.sin(y * 0.35) * (1 + y * 0.035);
        context.drawImage(whole, 0, from, w, 3, shift - w / 50, shore + y, w + w / 25, 3);
      }
      context.fillStyle = fade(shore, h, "rgb(255 255 255 / 0.16)", "rgb(10 30 50 / 0.35)");
      context.fillRect(0, shore, w, h - shore);
      // A jetty.
      context.fillStyle = name === "evening" ? "#17131f" : "#4a3b30";
      context.beginPath();
      for (const [x, y] of [[0.44, 1], [0.5, 0.74], [0.53, 0.74], [0.64, 1]]) context.lineTo(x * w, y * h);
      context.fill();
      for (let i = 0; i < 5; i++) {
        const y = 0.745 + i * i * 0.011;
        const half = 0.018 + i * i * 0.0042;
        for (const x of [0.515 - half, 0.515 + half]) context.fillRect(x * w, (y - 0.03 - i * 0.008) * h, (3 + i * 2) * (w / 800), (0.05 + i * 0.016) * h);
      }
      return canvas.toDataURL("image/jpeg", 0.9).split(",")[1];
    },
    [hour, width, height],
  );
  return { name: `${hour}.jpg`, mimeType: "image/jpeg", buffer: Buffer.from(base64, "base64") };
}
