// The figures of a run by step: kept in order, one row a step, never more than a chart can show.
const MOST = 400;

export class Figures {
  constructor(fields) {
    this.fields = fields;
    this.steps = new Map();
  }

  // After a resume the later row of a step stands. Beyond MOST every second row goes, apart from the newest.
  add(rows) {
    for (const row of rows) this.steps.set(row[0], row);
    const sorted = [...this.steps.entries()].sort(([one], [other]) => one - other);
    const kept = sorted.length > MOST ? sorted.filter((_, place) => (sorted.length - 1 - place) % 2 === 0) : sorted;
    this.steps = new Map(kept);
  }

  get rows() { return [...this.steps.values()]; }

  points(field) {
    const column = this.fields.indexOf(field);
    return this.rows.map((row) => ({ x: row[0], y: row[column] }));
  }

  latest(field) {
    return this.rows.at(-1)?.[this.fields.indexOf(field)] ?? null;
  }
}

// Three digits that count: 0.125, 1234, 2.0e-6. training/templatetags/training.py writes the same.
export function figure(value) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return String(value);
  if (size < 0.001) return value.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2");
  return size >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
