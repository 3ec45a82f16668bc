/** Asks the agent. */

import { ApiClient, ConnectionError, RefusedError } from '../../control/client.ts';
import type { AgentAnswers, Fact } from '../facts.ts';

/** @param api path of the framed-JSON socket. */
export async function gatherAgent(api: string): Promise<Fact<AgentAnswers>> {
  let client: ApiClient | undefined;
  try {
    client = await ApiClient.connect(api);
    return { value: { status: await client.call('status', {}), protocols: await client.call('protocols', {}) } };
  } catch (error) {
    if (!(error instanceof ConnectionError || error instanceof RefusedError)) throw error;
    return { unknown: error.message };
  } finally {
    client?.close();
  }
}
