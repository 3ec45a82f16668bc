/**
 * A real Kubernetes cluster on this machine, without a network for its pods: that is what the test installs.
 *
 *     tor 10.99.0.1    bridge, etcd, API server, controller manager, scheduler; later BIRD
 *      ├── node1 10.99.0.11    containerd, kubelet
 *      └── node2 10.99.0.12
 */

import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../kit/eventually.ts';
import { ControlPlane } from './control-plane.ts';
import { keepHostSettings } from './host-settings.ts';
import { NetworkHost } from './host.ts';
import { images, makeImages } from './images.ts';
import { KubeletNode, removeStaleCgroups } from './kubelet-node.ts';
import { run, type RunOptions } from './programs.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));
export const torAddress = '10.99.0.1';

export class Cluster {
  readonly tor: NetworkHost;
  readonly controlPlane: ControlPlane;
  readonly nodes: readonly KubeletNode[];
  readonly folder: string;
  /** Of the program kubectl. */
  readonly kubectlFolder: string;

  private constructor(
    tor: NetworkHost,
    controlPlane: ControlPlane,
    nodes: readonly KubeletNode[],
    folder: string,
    kubectlFolder: string,
  ) {
    this.kubectlFolder = kubectlFolder;
    this.tor = tor;
    this.controlPlane = controlPlane;
    this.nodes = nodes;
    this.folder = folder;
  }

  /** @param undo is given what takes it all away again, also when start() fails. */
  static async start(undo: (step: () => void | Promise<void>) => void): Promise<Cluster> {
    removeStaleCgroups();
    removeStaleFolders();
    const folder = mkdtempSync(join(tmpdir(), `${folderPrefix}${process.pid}-`));
    undo(() => removeFolder(folder));
    undo(keepHostSettings());
    const kubectlFolder = (await run([join(top, 'scripts/lab-tools')])).trim();
    const kubectl = join(kubectlFolder, 'kubectl');
    const tor = await NetworkHost.start('tor', folder);
    undo(() => tor.stop());
    const names = ['node1', 'node2'];
    const controlPlane = new ControlPlane({ host: tor, address: torAddress, folder, nodes: names, kubectl });
    undo(() => controlPlane.stop());
    await tor.run(['ip', 'link', 'add', 'br0', 'type', 'bridge']);
    await tor.run(['ip', 'address', 'add', `${torAddress}/24`, 'dev', 'br0']);
    await tor.run(['ip', 'link', 'set', 'br0', 'up']);
    await tor.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    const [imageFiles, nodes] = await Promise.all([
      makeImages(join(folder, 'images')),
      controlPlane.start().then(() =>
        Promise.all(
          names.map(async (name, i) => {
            const options = { name, address: `10.99.0.1${i + 1}`, runFolder: folder, controlPlane };
            const node = await KubeletNode.start(options);
            undo(() => node.stop());
            await connect(tor, node);
            return node;
          }),
        ),
      ),
    ]);
    for (const node of nodes) await node.startContainerd(imageFiles);
    for (const node of nodes) await node.startKubelet();
    await eventually(
      async () => {
        for (const node of nodes) node.mustRun();
        await controlPlane.kubectl(['get', 'node', ...names]);
      },
      { reason: 'the kubelets have registered their nodes', within: 60_000 },
    );
    return new Cluster(tor, controlPlane, nodes, folder, kubectlFolder);
  }

  kubectl(words: readonly string[], options?: RunOptions): Promise<string> {
    return this.controlPlane.kubectl(words, options);
  }

  /** A file of the repository, with the image that the nodes have. */
  manifest(path: string): string {
    return readFileSync(join(top, path), 'utf8').replaceAll(/image: \S+godwit\S*/g, `image: ${images.godwit}`);
  }

  async applyManifest(path: string): Promise<void> {
    await this.kubectl(['apply', '--server-side', '--filename', '-'], { input: this.manifest(path) });
  }
}

async function connect(tor: NetworkHost, node: KubeletNode): Promise<void> {
  const { host, name, address } = node;
  const words = `link add ${name} type veth peer name eth0 netns ${host.pid}`;
  await tor.run(['ip', ...words.split(' ')]);
  await tor.run(['ip', 'link', 'set', name, 'master', 'br0', 'up']);
  await host.run(['ip', 'address', 'add', `${address}/24`, 'dev', 'eth0']);
  await host.run(['ip', 'link', 'set', 'eth0', 'up']);
  await host.run(['ip', 'route', 'add', 'default', 'via', torAddress]);
}

const folderPrefix = 'godwit-cluster-';

/** With GODWIT_KEEP_LOGS the logs stay, until the next run. */
function removeFolder(folder: string): void {
  const isLog = (path: string): boolean => statSync(path).isDirectory() || path.endsWith('.log');
  if (process.env.GODWIT_KEEP_LOGS !== undefined)
    cpSync(folder, `${folder}-logs`, {
      recursive: true,
      filter: (path) => !/\/(disk|memory|images|etcd)$/.test(path) && isLog(path),
    });
  rmSync(folder, { recursive: true });
}

/** Of runs whose process is gone. */
function removeStaleFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${folderPrefix}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(tmpdir(), name), { recursive: true });
  }
}
