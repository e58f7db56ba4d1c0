// What is under the pointer: the run, and the exact values of its nearest point.

import { fill, h } from "./dom.js";
import { clock, colour, exact, runId } from "./format.js";
import { markAt } from "./odd.js";

const REACH = 400;

export function hoverPlugin(lines, now) {
  const tip = h("div", { class: "tip", hidden: true });

  function update(u) {
    const { left, top, idx } = u.cursor;
    tip.hidden = idx == null || left < 0 || !u.over.matches(":hover");
    if (tip.hidden) return;
    const odd = markAt(u, lines, left, top);
    const near = odd ? null : nearest(u, lines, left, top, idx);
    tip.hidden = odd === null && near === null;
    if (odd) fill(tip, describe({ ...odd.line, smoothed: false }, odd.x, odd.y, now));
    else if (near) fill(tip, describe(lines[near.line], u.data[0][near.at], u.data[near.line + 1][near.at], now));
    const right = left > u.over.clientWidth / 2;
    tip.style.left = right ? "" : `${left + 14}px`;
    tip.style.right = right ? `${u.over.clientWidth - left + 14}px` : "";
    tip.style.top = `${Math.min(top, u.over.clientHeight - 50)}px`;
  }

  return {
    hooks: {
      init: (u) => u.over.append(tip),
      setCursor: update,
    },
  };
}

function nearest(u, lines, left, top, idx) {
  let best = null;
  for (let line = 0; line < lines.length; line++) {
    if (lines[line].faint) continue;
    const column = u.data[line + 1];
    for (const way of [-1, 1]) {
      for (let at = way < 0 ? idx : idx + 1, n = 0; at >= 0 && at < column.length && n < REACH; at += way, n++) {
        if (column[at] == null) continue;
        const dx = u.valToPos(u.data[0][at], "x") - left;
        const dy = u.valToPos(column[at], "y") - top;
        const distance = dx * dx * 4 + dy * dy;
        if (best === null || distance < best.distance) best = { line, at, distance };
        break;
      }
    }
  }
  return best;
}

function describe(line, x, y, now) {
  const dot = h("i", { class: "dot" });
  dot.style.background = colour(now.colours(line.run));
  const raw = line.smoothed ? line.raw[Array.prototype.indexOf.call(line.x, x)] : y;
  return [
    h("div", { class: "tip-run" }, dot, runId(line.run)),
    line.origin !== line.run && h("div", {}, `inherited from ${runId(line.origin)}`),
    h("div", {}, `${axisName(now.axis)} ${place(x, now.axis)}`),
    h("div", { class: "tip-value" }, exact(raw)),
    line.smoothed && h("div", {}, `smoothed ${exact(y)}`),
  ];
}

function axisName(axis) {
  return axis === "step" ? "step" : axis === "relative" ? "after" : "at";
}

function place(x, axis) {
  if (axis === "time") return new Date(x * 1000).toISOString().replace("T", " ");
  return axis === "relative" ? clock(x) : exact(x);
}
