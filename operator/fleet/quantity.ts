/** Amounts of Kubernetes (apimachinery, resource.Quantity), as far as resources of containers and volumes use them. */

const FACTORS: ReadonlyMap<string, number> = new Map([
  ['m', 1e-3],
  ['', 1],
  ['k', 1e3],
  ['M', 1e6],
  ['G', 1e9],
  ['T', 1e12],
  ['P', 1e15],
  ['Ki', 2 ** 10],
  ['Mi', 2 ** 20],
  ['Gi', 2 ** 30],
  ['Ti', 2 ** 40],
  ['Pi', 2 ** 50],
]);

/** The number that `4Gi` or `500m` stands for; null: not such an amount. */
export function quantityValue(text: string): number | null {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(text) ?? [];
  const factor = FACTORS.get(unit ?? '');
  if (amount === undefined || factor === undefined) return null;
  // Thousandths are exact where 0.1 is not.
  return Math.round(Number(amount) * factor * 1_000) / 1_000;
}
