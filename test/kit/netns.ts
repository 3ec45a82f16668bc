/**
 * Network namespaces of one test process: made, used by `ip` and by our own sockets, and gone at its end.
 * Names carry the process id; those of processes that no longer live are removed when the first one is made.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

import { inNamespace } from '../../dataplane/netlink/sys.ts';

const prefix = 'gwt-';
let made = 0;
const alive = new Set<string>();

export class TestNamespace {
  readonly name: string;
  /** For the options of Rtnetlink and Sysctl. */
  readonly path: string;

  constructor() {
    if (made === 0) removeStale();
    this.name = `${prefix}${process.pid}-${made++}`;
    this.path = `/run/netns/${this.name}`;
    run('ip', ['netns', 'add', this.name]);
    alive.add(this.name);
    this.ip('link set lo up');
  }

  /** Runs `ip WORDS` inside. @returns what it prints. */
  ip(words: string): string {
    return this.exec('ip', ...words.split(' '));
  }

  /** `ip -j WORDS`, parsed. */
  ipJson(words: string): Record<string, unknown>[] {
    const text = this.exec('ip', '-j', ...words.split(' ')).trim();
    return text === '' ? [] : (JSON.parse(text) as Record<string, unknown>[]);
  }

  /** Many commands in one process. */
  ipBatch(lines: readonly string[]): void {
    execFileSync('ip', ['-n', this.name, '-batch', '-'], { input: lines.join('\n'), stdio: ['pipe', 'pipe', 'pipe'] });
  }

  /** @param addresses with their lengths; those of IPv6 are used at once, without a look whether others have them. */
  addAddresses(link: string, ...addresses: readonly string[]): void {
    this.ipBatch(addresses.map((each) => `addr add ${each} dev ${link}${each.includes(':') ? ' nodad' : ''}`));
  }

  exec(program: string, ...words: string[]): string {
    return run('ip', ['netns', 'exec', this.name, program, ...words]);
  }

  /** Runs a synchronous block inside; sockets opened in it stay inside. */
  inside<T>(block: () => T): T {
    return inNamespace(this.path, block);
  }

  remove(): void {
    if (alive.delete(this.name)) run('ip', ['netns', 'del', this.name]);
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}

/** A veth pair between two namespaces, both ends up. */
export function connectNamespaces(a: TestNamespace, aName: string, b: TestNamespace, bName: string): void {
  a.ip(`link add ${aName} type veth peer name ${bName} netns ${b.name}`);
  a.ip(`link set ${aName} up`);
  b.ip(`link set ${bName} up`);
}

process.once('exit', () => {
  for (const name of alive) run('ip', ['netns', 'del', name]);
});

function removeStale(): void {
  if (!existsSync('/run/netns')) return;
  for (const name of readdirSync('/run/netns')) {
    const pid = new RegExp(`^${prefix}(\\d+)-\\d+$`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) run('ip', ['netns', 'del', name]);
  }
}

function run(program: string, words: string[]): string {
  return execFileSync(program, words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
}
