/**
 * Hosts of the test's network: the one with the control plane and the switch, and the nodes. Each is a process that holds
 * namespaces; when it ends, the kernel takes away all that lives in them: links, mounts, processes.
 */

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../kit/eventually.ts';
import { Program, run, type RunOptions } from './programs.ts';

/** A host that has a network of its own, and shares the rest with the machine. */
export class NetworkHost {
  protected readonly holder: Program;
  protected readonly folder: string;

  protected constructor(holder: Program, folder: string) {
    this.holder = holder;
    this.folder = folder;
  }

  static async start(name: string, runFolder: string): Promise<NetworkHost> {
    const folder = join(runFolder, name);
    mkdirSync(folder, { recursive: true });
    const words = ['unshare', '--net', '--', 'sh', '-ec', 'ip link set lo up; echo ready; exec sleep infinity'];
    const host = new NetworkHost(new Program(name, words, join(folder, 'holder.log')), folder);
    await host.isReady();
    return host;
  }

  /** Id of a process that is in all of its namespaces. */
  get pid(): number {
    return this.holder.pid;
  }

  /** What goes before a command that is to run on this host. */
  get enter(): readonly string[] {
    return ['nsenter', '--target', String(this.pid), '--net', '--'];
  }

  run(words: readonly string[], options?: RunOptions): Promise<string> {
    return run([...this.enter, ...words], options);
  }

  /** Starts a program on this host, which ends with it. */
  start(name: string, words: readonly string[]): Program {
    return new Program(name, [...this.enter, ...words], join(this.folder, `${name}.log`));
  }

  stop(): Promise<void> {
    return this.holder.stop('SIGKILL');
  }

  protected isReady(): Promise<boolean> {
    return eventually(
      () => {
        this.holder.mustRun();
        return readFileSync(this.holder.logFile, 'utf8').split('\n').includes('ready');
      },
      { reason: `${this.holder.name} has its namespaces` },
    );
  }
}

/** A host with a root file system, processes and a name of its own, as a kubelet needs it: what it writes stays in it. */
export class WholeHost extends NetworkHost {
  /** @param seen folders of the machine that it sees besides those of the disk of / */
  static override async start(name: string, runFolder: string, seen: readonly string[] = []): Promise<WholeHost> {
    const folder = join(runFolder, name);
    mkdirSync(folder, { recursive: true });
    const words = ['unshare', '--net', '--mount', '--uts', '--pid', '--fork', '--kill-child=KILL', '--'];
    const script = ['bash', '-ec', setUp, name, name, folder, runFolder, ...seen];
    const host = new WholeHost(new Program(name, [...words, ...script], join(folder, 'holder.log')), folder);
    await host.isReady();
    return host;
  }

  /** unshare stays outside of the process namespace; its child is process 1 in it. */
  override get pid(): number {
    const parent = this.holder.pid;
    return Number(readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim());
  }

  override get enter(): readonly string[] {
    // What nsenter forks into the process namespace is to end with it.
    const namespaces = ['--net', '--mount', '--uts', '--pid', '--root', '--wd=/'];
    return ['nsenter', '--target', String(this.pid), ...namespaces, '--', 'setpriv', '--pdeathsig', 'KILL'];
  }
}

/**
 * $1 name, $2 folder, then folders to be seen. The root is the machine's with a layer in memory above; what containers store is on the
 * disk, since an overlay cannot lie on an overlay. Process 1 takes in what others leave behind, as init does.
 */
const setUp = `
name=$1 folder=$2
shift 2
ip link set lo up
hostname "$name"
mount --make-rprivate /
mkdir -p "$folder/memory" "$folder/disk"
mount -t tmpfs -o mode=755 tmpfs "$folder/memory"
mkdir "$folder/memory/upper" "$folder/memory/work" "$folder/memory/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/memory/upper,workdir=$folder/memory/work" overlay "$folder/memory/root"
cd "$folder/memory/root"
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
for seen in "$@"; do mkdir -p ".$seen"; mount --bind "$seen" ".$seen"; done
for own in var/lib/containerd var/lib/kubelet var/log/pods var/log/containers; do
  mkdir -p "$own" "$folder/disk/$own"
  mount --bind "$folder/disk/$own" "$own"
done
rm -rf etc/cni opt/cni var/lib/cni var/lib/godwit
mkdir -p etc/cni/net.d opt/cni/bin run/netns old
pivot_root . old
umount -l /old
rmdir /old
mount --make-rshared /
echo ready
while :; do sleep 1000000 & wait $!; done
`;
