/**
 * Whether the agent lives and whether its node is ready, for kubelet's probes.
 * Holds: nothing outside this process makes it unwell: not the API server, not a peer, not a refused policy. What another
 * process would heal does: a kernel socket that keeps failing, a transaction that never ends. An event loop that stands
 * still does not answer at all.
 */

export interface Check {
  readonly name: string;
  /** undefined: all is well. */
  readonly problem: string | undefined;
}

/** What of the agent is asked; parts that a role leaves out are undefined. */
export interface Vitals {
  readonly speaker: { readonly isListening: boolean };
  /** Since when (milliseconds since the epoch) it waits for the kernel; undefined: it does not. */
  readonly routes?: { readonly waitingSince: number | undefined };
  readonly policy?: { readonly waitingSince: number | undefined; readonly everApplied: boolean };
}

/** A start reads the whole cluster and may take as long as it takes; nothing else may. */
const longestWaitMilliseconds = 60_000;

/** @param vitals undefined: the agent is starting. */
export function livenessOf(vitals: Vitals | undefined, now: number): readonly Check[] {
  const waits = (name: string, since: number | undefined): Check => {
    const waited = since === undefined ? 0 : now - since;
    const seconds = Math.floor(waited / 1000);
    return { name, problem: waited > longestWaitMilliseconds ? `no progress for ${seconds} s` : undefined };
  };
  const checks: Check[] = [{ name: 'event loop', problem: undefined }];
  if (vitals?.routes) checks.push(waits('routes', vitals.routes.waitingSince));
  if (vitals?.policy) checks.push(waits('policy', vitals.policy.waitingSince));
  return checks;
}

/** @param vitals undefined: the agent is starting. */
export function readinessOf(vitals: Vitals | undefined): readonly Check[] {
  if (vitals === undefined) return [{ name: 'source', problem: 'not read yet' }];
  const { speaker, policy } = vitals;
  const checks: Check[] = [
    // Running means that it was read: from the source, or from the last known state.
    { name: 'source', problem: undefined },
    { name: 'speaker', problem: speaker.isListening ? undefined : 'not listening for BGP connections' },
  ];
  // Once in force it stays so: a policy that is refused later leaves the last good one.
  if (policy) checks.push({ name: 'policy', problem: policy.everApplied ? undefined : 'not in force yet' });
  return checks;
}

/** Kubernetes' own form: `[+]routes ok`, `[-]policy: not in force yet`. */
export function formatChecks(checks: readonly Check[]): string {
  return checks
    .map(({ name, problem }) => (problem === undefined ? `[+]${name} ok\n` : `[-]${name}: ${problem}\n`))
    .join('');
}
