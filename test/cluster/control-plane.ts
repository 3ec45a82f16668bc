/**
 * etcd, API server, controller manager and scheduler, on one host.
 * Holds: each client has a token of its own, and the rights that a cluster gives it (Node and RBAC authorization).
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../kit/eventually.ts';
import { kubernetesProgram } from './cache.ts';
import type { NetworkHost } from './host.ts';
import { Program, run, type RunOptions } from './programs.ts';

/** The Service `kubernetes`: pods find the API server by it. Here it is an address of the host, there being no kube-proxy. */
export const serviceAddress = '10.96.0.1';
const serviceRanges = '10.96.0.0/16,fd00:10:96::/112';
const podRanges = '10.244.0.0/16,fd00:10:244::/56';
/** In 1.20 it is still to be asked for. */
const dualStack = '--feature-gates=IPv6DualStack=true';
const adminToken = 'admin-of-the-test';

export interface ControlPlaneOptions {
  readonly host: NetworkHost;
  /** Of the host. */
  readonly address: string;
  readonly folder: string;
  readonly nodes: readonly string[];
  readonly kubectl: string;
}

export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #pki: string;
  readonly #programs: Program[] = [];
  #apiServer: Program | undefined;

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    this.#pki = join(options.folder, 'pki');
  }

  get certificateAuthority(): string {
    return join(this.#pki, 'ca.crt');
  }

  kubeconfig(client: string): string {
    return join(this.#options.folder, `${client}.kubeconfig`);
  }

  async start(): Promise<void> {
    const { host, folder } = this.#options;
    mkdirSync(this.#pki, { recursive: true });
    await this.#makeKeys();
    this.#writeClients();
    const [client, peer] = ['http://127.0.0.1:2379', 'http://127.0.0.1:2380'];
    this.#run('etcd', [
      'etcd',
      '--name=test',
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=test=${peer}`,
      // What the test wrote need not outlive the machine.
      '--unsafe-no-fsync',
    ]);
    await host.run(['ip', 'address', 'add', `${serviceAddress}/32`, 'dev', 'lo']);
    await this.startApiServer();
    this.#run('kube-controller-manager', [
      kubernetesProgram('kube-controller-manager'),
      `--kubeconfig=${this.kubeconfig('kube-controller-manager')}`,
      '--use-service-account-credentials=true',
      `--service-account-private-key-file=${this.#key('service-accounts')}`,
      `--root-ca-file=${this.certificateAuthority}`,
      '--allocate-node-cidrs=true',
      `--cluster-cidr=${podRanges}`,
      `--service-cluster-ip-range=${serviceRanges}`,
      '--node-cidr-mask-size-ipv6=64',
      dualStack,
      '--leader-elect=false',
    ]);
    this.#run('kube-scheduler', [
      kubernetesProgram('kube-scheduler'),
      `--kubeconfig=${this.kubeconfig('kube-scheduler')}`,
      '--leader-elect=false',
    ]);
  }

  async startApiServer(): Promise<void> {
    const { address } = this.#options;
    const apiServer = this.#options.host.start('kube-apiserver', [
      kubernetesProgram('kube-apiserver'),
      '--etcd-servers=http://127.0.0.1:2379',
      '--bind-address=0.0.0.0',
      `--advertise-address=${address}`,
      '--secure-port=443',
      `--tls-cert-file=${join(this.#pki, 'api-server.crt')}`,
      `--tls-private-key-file=${this.#key('api-server')}`,
      `--client-ca-file=${this.certificateAuthority}`,
      `--token-auth-file=${join(this.#pki, 'tokens.csv')}`,
      `--kubelet-client-certificate=${join(this.#pki, 'kubelet-client.crt')}`,
      `--kubelet-client-key=${this.#key('kubelet-client')}`,
      '--kubelet-preferred-address-types=InternalIP',
      `--service-account-key-file=${this.#key('service-accounts')}`,
      `--service-account-signing-key-file=${this.#key('service-accounts')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--authorization-mode=Node,RBAC',
      `--service-cluster-ip-range=${serviceRanges}`,
      dualStack,
      '--allow-privileged=true',
    ]);
    this.#apiServer = apiServer;
    await eventually(
      async () => {
        apiServer.mustRun();
        await this.kubectl(['get', '--raw', '/readyz']);
      },
      { reason: 'the API server is ready', within: 90_000 },
    );
  }

  /** At once, as a machine that loses power. */
  async killApiServer(): Promise<void> {
    await this.#apiServer?.stop('SIGKILL');
  }

  kubectl(words: readonly string[], options?: RunOptions): Promise<string> {
    const { host, kubectl } = this.#options;
    return host.run([kubectl, `--kubeconfig=${this.kubeconfig('admin')}`, ...words], options);
  }

  async stop(): Promise<void> {
    // An API server without etcd takes long to end: etcd goes last.
    await Promise.all(this.#programs.slice(1).map((program) => program.stop('SIGKILL')));
    await this.#apiServer?.stop('SIGKILL');
    await this.#programs[0]?.stop('SIGKILL');
  }

  #run(name: string, words: readonly string[]): void {
    this.#programs.push(this.#options.host.start(name, words));
  }

  #key(name: string): string {
    return join(this.#pki, `${name}.key`);
  }

  async #makeKeys(): Promise<void> {
    const names = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'localhost'].map(
      (name) => `DNS:${name}`,
    );
    const addresses = ['127.0.0.1', this.#options.address, serviceAddress].map((address) => `IP:${address}`);
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const openssl = (...words: string[]): Promise<string> => run(['openssl', ...words]);
    const ca = ['-CA', this.certificateAuthority, '-CAkey', this.#key('ca')];
    await openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      this.#key('ca'),
      '-out',
      this.certificateAuthority,
      '-days',
      '30',
      '-subj',
      '/CN=test',
    );
    const issue = async (name: string, subject: string, more: readonly string[]): Promise<void> => {
      const out = join(this.#pki, `${name}.crt`);
      await openssl(
        'req',
        '-x509',
        ...newKey,
        ...ca,
        '-keyout',
        this.#key(name),
        '-out',
        out,
        '-days',
        '30',
        '-subj',
        subject,
        ...more,
      );
    };
    const notAuthority = ['-addext', 'basicConstraints=CA:FALSE'];
    await issue('api-server', '/CN=kube-apiserver', [
      ...notAuthority,
      '-addext',
      `subjectAltName=${[...names, ...addresses].join(',')}`,
    ]);
    await issue('kubelet-client', '/O=system:masters/CN=kube-apiserver-kubelet-client', notAuthority);
    await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', this.#key('service-accounts'));
  }

  #writeClients(): void {
    const users: Record<string, string> = {
      admin: `${adminToken},admin,admin,system:masters`,
      'kube-controller-manager': 'token-of-kcm,system:kube-controller-manager,kcm',
      'kube-scheduler': 'token-of-scheduler,system:kube-scheduler,scheduler',
    };
    for (const node of this.#options.nodes) users[node] = `token-of-${node},system:node:${node},${node},system:nodes`;
    writeFileSync(join(this.#pki, 'tokens.csv'), `${Object.values(users).join('\n')}\n`);
    for (const [client, line] of Object.entries(users)) {
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [
          {
            name: 'test',
            cluster: {
              server: `https://${this.#options.address}`,
              'certificate-authority': this.certificateAuthority,
            },
          },
        ],
        users: [{ name: client, user: { token: line.split(',')[0] } }],
        contexts: [{ name: 'test', context: { cluster: 'test', user: client } }],
        'current-context': 'test',
      };
      writeFileSync(this.kubeconfig(client), JSON.stringify(config), { mode: 0o600 });
    }
  }
}
