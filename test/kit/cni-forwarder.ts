/** The plugin's executable as a runtime runs it: compiled from deploy/cni, called with an environment and a configuration. */

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../../deploy/cni/godwit-cni.c', import.meta.url));

export interface PluginCall {
  readonly command: string;
  readonly containerId?: string;
  readonly netns?: string;
  readonly ifName?: string;
  /** `NAMESPACE/NAME` */
  readonly pod?: string;
  /** CNI_ARGS beside the pod's. */
  readonly args?: string;
  readonly version?: string;
  /** Further fields of the network configuration. */
  readonly config?: object;
}

export interface PluginAnswer {
  readonly status: number | null;
  /** What was printed, parsed; undefined: nothing. */
  readonly output: Record<string, unknown> | undefined;
}

/** A folder with the compiled forwarder in it; of a CNI's other plugins too, where a test puts them there. */
export class Forwarder implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'godwit-cni-'));
  readonly path = join(this.folder, 'godwit-cni');

  constructor() {
    execFileSync('gcc', ['-O2', '-static', '-Wall', '-Werror', '-o', this.path, source]);
  }

  /** @param socket of the agent; part of the configuration */
  call(call: PluginCall, socket: string): Promise<PluginAnswer> {
    const config = { cniVersion: call.version ?? '1.0.0', name: 'godwit', type: 'godwit-cni', socket, ...call.config };
    return runPlugin(this.path, call, JSON.stringify(config));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** @param enter words before the program, such as of `ip netns exec` */
export function runPlugin(
  program: string,
  call: PluginCall,
  config: string,
  enter: readonly string[] = [],
): Promise<PluginAnswer> {
  const [namespace, name] = call.pod?.split('/') ?? [];
  const args = [
    ...(call.pod === undefined ? [] : [`IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name}`]),
    ...(call.args === undefined ? [] : [call.args]),
  ];
  const [file, ...words] = [...enter, program];
  return new Promise((resolve, reject) => {
    const child = spawn(file, words, {
      env: {
        PATH: process.env.PATH,
        CNI_COMMAND: call.command,
        CNI_CONTAINERID: call.containerId ?? '',
        CNI_NETNS: call.netns ?? '',
        CNI_IFNAME: call.ifName ?? 'eth0',
        CNI_ARGS: args.join(';'),
        CNI_PATH: '/opt/cni/bin',
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    child.once('error', reject);
    child.once('close', (status) => {
      resolve({ status, output: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) });
    });
    child.stdin.on('error', () => child.stdin.destroy());
    child.stdin.end(config);
  });
}
