// NaN and infinities have no place on the axis: they are marked at its edges.

import { h } from "./dom.js";
import { colour } from "./format.js";

const SIZE = 4;
const REACH = 7;

/** What the marks mean, as far as there are any. */
export function legend(lines) {
  const values = new Set(lines.flatMap((line) => [...line.oddY]));
  return [[NaN, "✕ NaN"], [Infinity, "▲ ∞"], [-Infinity, "▼ −∞"]].filter(([value]) => values.has(value)).map(([, text]) => h("span", {}, text));
}

/** The mark under the pointer: `{line, x, y}`, or null. */
export function markAt(u, lines, left, top) {
  for (const line of lines) {
    for (let i = 0; i < line.oddX.length; i++) {
      const y = line.oddY[i];
      const place = y > 0 ? SIZE : u.over.clientHeight - (y !== y ? 2.2 : 1) * SIZE;
      if (Math.abs(u.valToPos(line.oddX[i], "x") - left) <= REACH && Math.abs(place - top) <= REACH) return { line, x: line.oddX[i], y };
    }
  }
  return null;
}

export function oddPlugin(lines, now) {
  return { hooks: { draw: (u) => lines.forEach((line) => mark(u, line, now)) } };
}

function mark(u, line, now) {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const ratio = devicePixelRatio || 1;
  const size = SIZE * ratio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour(now.colours(line.run));
  ctx.lineWidth = 1.5 * ratio;
  for (let i = 0; i < line.oddX.length; i++) {
    const x = u.valToPos(line.oddX[i], "x", true);
    if (!(x >= left && x <= left + width)) continue;
    const value = line.oddY[i];
    if (value !== value) cross(ctx, x, top + height - 2.2 * size, size);
    else triangle(ctx, x, value > 0 ? top + size : top + height - size, value > 0 ? -size : size);
  }
  ctx.restore();
}

function cross(ctx, x, y, size) {
  ctx.beginPath();
  ctx.moveTo(x - size, y - size);
  ctx.lineTo(x + size, y + size);
  ctx.moveTo(x + size, y - size);
  ctx.lineTo(x - size, y + size);
  ctx.stroke();
}

function triangle(ctx, x, y, size) {
  ctx.beginPath();
  ctx.moveTo(x, y + size);
  ctx.lineTo(x - size, y - size);
  ctx.lineTo(x + size, y - size);
  ctx.fill();
}
