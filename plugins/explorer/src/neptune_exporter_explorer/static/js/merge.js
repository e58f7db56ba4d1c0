// Lines with their own x each, as the table with one x column that the charting library draws.

/**
 * One ascending x for all lines. A line that has several points at one x keeps them all.
 *
 * Where a line has no point its cell is undefined (drawn through); from a break on to its next point, null (never
 * drawn through: uPlot ends a gap at the next cell that is not null).
 */
export function merge(lines) {
  const total = lines.reduce((sum, line) => sum + line.x.length, 0);
  const heads = lines.map(() => 0);
  const x = [];
  const columns = lines.map(() => []);
  let seen = 0;
  while (seen < total) {
    let least = Infinity;
    for (let i = 0; i < lines.length; i++) {
      if (heads[i] < lines[i].x.length && lines[i].x[heads[i]] < least) least = lines[i].x[heads[i]];
    }
    const row = x.length;
    x.push(least);
    for (let i = 0; i < lines.length; i++) {
      const at = heads[i];
      if (at >= lines[i].x.length || lines[i].x[at] !== least) continue;
      const value = lines[i].y[at];
      columns[i][row] = value !== value ? null : value;
      heads[i]++;
      seen++;
    }
  }
  for (const column of columns) {
    column.length = x.length;
    for (let i = 1; i < column.length; i++) if (column[i] === undefined && column[i - 1] === null) column[i] = null;
  }
  return [x, ...columns];
}

/** An exponential moving average without the bias of its start; it begins anew after a break. */
export function smooth(y, weight) {
  const result = new Float64Array(y.length);
  let mean = 0;
  let share = 0;
  for (let i = 0; i < y.length; i++) {
    if (y[i] !== y[i]) {
      mean = share = 0;
      result[i] = NaN;
    } else {
      mean = weight * mean + (1 - weight) * y[i];
      share = weight * share + (1 - weight);
      result[i] = mean / share;
    }
  }
  return result;
}

/** Places of points without a neighbour that a line could go to: they are drawn as dots. */
export function lonely(column) {
  const places = [];
  let before = null;
  let candidate = -1;
  for (let i = 0; i < column.length; i++) {
    const value = column[i];
    if (value === undefined) continue;
    if (value === null) {
      if (candidate >= 0) places.push(candidate);
      candidate = -1;
    } else {
      candidate = before === null ? i : -1;
    }
    before = value;
  }
  if (candidate >= 0) places.push(candidate);
  return places;
}
