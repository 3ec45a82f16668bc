/** One ping a flow, many at a time. */

import { CommandError, inNamespace, inParallel, run } from '../command.ts';
import type { Flow } from '../endpoints.ts';
import { namespaceOf } from '../topology.ts';

const width = 16;

/** @returns the flows that got no answer within two seconds. */
export async function unanswered(lab: string, flows: readonly Flow[]): Promise<Flow[]> {
  const answers = await inParallel(flows, width, (flow) => answersPing(lab, flow));
  return flows.filter((_, index) => !answers[index]);
}

async function answersPing(lab: string, { from, to, family }: Flow): Promise<boolean> {
  try {
    await run(inNamespace(namespaceOf(lab, from.name), ['ping', '-n', '-q', '-c', '1', '-W', '2', to[family]]));
    return true;
  } catch (error) {
    // 1: no answer. 2: it could not be sent (no route): as good as none.
    if (error instanceof CommandError && error.exitCode !== undefined) return false;
    throw error;
  }
}
