// Values as a person reads them.

const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 6, useGrouping: false });

/** A number in few digits; the exact one belongs in a title or a tooltip. */
export function number(value) {
  if (typeof value === "bigint") return value.toString();
  if (!Number.isFinite(value)) return infinite(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return String(value);
  return size !== 0 && (size < 1e-4 || size >= 1e9) ? value.toExponential(4).replace(/\.?0+e/, "e") : short.format(value);
}

function infinite(value) {
  return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
}

/** Every digit. */
export function exact(value) {
  return Object.is(value, -0) ? "-0" : String(value);
}

export function text(value) {
  if (value == null) return "";
  if (typeof value === "number" || typeof value === "bigint") return number(value);
  if (Array.isArray(value)) return value.join(", ");
  return String(value);
}

export function moment(iso) {
  return iso ? iso.replace("T", " ").replace(/(\.\d+)?(Z|\+00:00)$/, "") : "";
}

export function duration(seconds) {
  if (seconds == null) return "";
  if (seconds < 60) return `${number(Math.round(seconds * 10) / 10)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  const first = units.findIndex(([, size]) => seconds >= size);
  return units.slice(first, first + 2).map(([name, size], i) => `${Math.floor((i ? seconds % units[first][1] : seconds) / size)} ${name}`).join(" ");
}

export function bytes(size) {
  if (size == null) return "";
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(size, 1)) / 3)));
  return `${number(Number((size / 1000 ** power).toPrecision(3)))} ${units[power]}`;
}

/** The id of a run in the name that it has in an address. */
export function runId(name) {
  const [, length] = name.split(":", 2);
  const begin = name.indexOf(":", name.indexOf(":") + 1) + 1;
  return name.slice(begin + Number(length) + 1);
}

/** Namespace and last part of a path. */
export function namespace(path) {
  const end = path.lastIndexOf("/");
  return end < 0 ? ["", path] : [path.slice(0, end), path.slice(end + 1)];
}

const dark = () => document.documentElement.dataset.theme === "dark";

/** Colours that stay apart: neighbours are far from each other on the circle. */
export function colour(index, opacity = 1) {
  const hue = (210 + index * 137.508) % 360;
  const light = (dark() ? 66 : 42) + (index % 3) * (dark() ? -6 : 7);
  return `hsl(${hue.toFixed(1)} 68% ${light}% / ${opacity})`;
}

/** Seconds on an axis. */
export function clock(seconds) {
  const sign = seconds < 0 ? "−" : "";
  const size = Math.abs(seconds);
  if (size < 120) return `${sign}${number(Number(size.toPrecision(6)))} s`;
  const parts = [Math.floor(size / 3600), Math.floor(size / 60) % 60, Math.round(size % 60)];
  return sign + parts.map((part, i) => String(part).padStart(i ? 2 : 1, "0")).join(":");
}
