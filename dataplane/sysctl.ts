/**
 * Kernel settings under /proc/sys/net: read, written, and remembered as they were before.
 * Leaves out: settings outside net/; undoing what another process changed meanwhile (see `restore`).
 * Holds: a setting that already has the value is not written.
 */

import { KernelError } from './netlink/kernel-error.ts';
import { inNamespace, readProcFile, writeProcFile } from './netlink/sys.ts';

/**
 * Where a container that is not privileged finds the settings writable: its own /proc/sys is read-only, so the DaemonSet mounts
 * the host's /proc/sys/net here. Whose settings they are follows the caller's network namespace, as under /proc/sys.
 */
const writableMount = '/host/proc/sys/net';

export interface ChangedSysctl {
  readonly name: string;
  readonly before: string;
  readonly now: string;
}

export class Sysctl {
  readonly #namespace: string | undefined;
  readonly #changed = new Map<string, ChangedSysctl>();

  /**
   * @param namespace path of the network namespace; absent: the process's own.
   * @param changed by an earlier process, to be put back
   */
  constructor(namespace?: string, changed: readonly ChangedSysctl[] = []) {
    this.#namespace = namespace;
    for (const one of changed) this.#changed.set(one.name, one);
  }

  /**
   * @param name as sysctl(8) writes it: `net.ipv4.ip_forward`; slashes part the words where one has a dot in it
   * (`net/ipv4/conf/eth0.5/rp_filter`).
   * @throws KernelError; ENOENT where this kernel has no such setting. TypeError where the name is none under net.
   */
  read(name: string): string {
    return this.#inside(() => readProcFile(toPath(name)));
  }

  /**
   * @returns whether the setting had another value.
   * @throws KernelError; EROFS in a container without write access to /proc/sys or to a mount of it at /host/proc/sys/net.
   */
  write(name: string, value: string): boolean {
    const before = this.read(name);
    if (before === value) return false;
    this.#inside(() => writeSetting(name, value));
    this.#changed.set(name, { name, before: this.#changed.get(name)?.before ?? before, now: value });
    return true;
  }

  /** What was changed, with the value of before our first change. */
  changed(): ChangedSysctl[] {
    return [...this.#changed.values()];
  }

  /** Puts back what was changed, last first; what has since been set to something else by others stays. @throws KernelError */
  restore(): void {
    for (const { name, before, now } of this.changed().reverse()) {
      if (this.read(name) === now) this.#inside(() => writeSetting(name, before));
      this.#changed.delete(name);
    }
  }

  #inside<T>(block: () => T): T {
    return this.#namespace === undefined ? block() : inNamespace(this.#namespace, block);
  }
}

function writeSetting(name: string, value: string): void {
  const path = toPath(name);
  try {
    writeProcFile(path, value);
  } catch (error) {
    if (!(error instanceof KernelError) || error.errno !== 'EROFS') throw error;
    try {
      writeProcFile(path.replace('/proc/sys/net', writableMount), value);
    } catch (second) {
      // Without that mount the read-only file system is the news.
      throw second instanceof KernelError && second.errno === 'ENOENT' ? error : second;
    }
  }
}

function toPath(name: string): string {
  const words = name.includes('/') ? name.split('/') : name.split('.');
  if (words[0] !== 'net' || words.some((word) => word === '' || word === '.' || word === '..')) {
    throw new TypeError(`not a sysctl under net: ${name}`);
  }
  return `/proc/sys/${words.join('/')}`;
}
