/** metav1.MicroTime of Unix milliseconds, such as `2030-01-02T03:04:05.678000Z`. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}
