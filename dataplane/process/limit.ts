/** Whether `work` ends before `expired` fires. Rejects when the work does. */
export async function endsWithin(work: Promise<unknown>, expired: AbortSignal): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const giveUp = (): void => late.resolve(false);
  expired.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([work.then(() => true), late.promise]);
  } finally {
    expired.removeEventListener('abort', giveUp);
  }
}
