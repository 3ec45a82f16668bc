/**
 * Who we are to which API server: a pod's service account, or a kubeconfig file.
 * A service account is read here; kubeconfig files, with client certificates, token files and exec plugins, are
 * @kubernetes/client-node's, which is loaded only for them: it costs most of a second and 90 MB.
 * Leaves out: proxies.
 * Holds: token and CA are read anew for every request, because the kubelet changes them under us.
 */

import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { delimiter, join, resolve } from 'node:path';

export interface RequestCredentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: Pick<RequestOptions, 'auth' | 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>;
}

export interface Credentials {
  /** May have a path, below which the API lies. */
  readonly server: URL;
  /** @throws an Error for the user where a file of theirs cannot be read or a plugin fails. */
  forRequest(): Promise<RequestCredentials>;
}

export interface CredentialsPlace {
  /** Path of a kubeconfig file; undefined: that of $KUBECONFIG, else the pod's service account. */
  readonly kubeconfig?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where the service account's files are mounted. */
  readonly serviceAccountFolder?: string;
}

const mountedFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** @throws an Error with a message for the user. */
export async function loadCredentials(place: CredentialsPlace = {}): Promise<Credentials> {
  const env = place.env ?? process.env;
  const files =
    place.kubeconfig === undefined ? (env.KUBECONFIG ?? '').split(delimiter).filter(Boolean) : [place.kubeconfig];
  if (files.length > 0) return kubeconfigCredentials(files.map((file) => resolve(file)));
  const host = env.KUBERNETES_SERVICE_HOST;
  if (host === undefined || host === '') {
    throw new Error(
      '--source kube: no way to an API server: not in a pod ($KUBERNETES_SERVICE_HOST is not set), and neither --kubeconfig nor $KUBECONFIG names a file',
    );
  }
  return serviceAccountCredentials(
    host,
    env.KUBERNETES_SERVICE_PORT ?? '443',
    place.serviceAccountFolder ?? mountedFolder,
  );
}

/** The agent's own namespace: what the downward API says in $POD_NAMESPACE, else the service account's, else kube-system. */
export async function loadNamespace({
  env = process.env,
  serviceAccountFolder,
}: CredentialsPlace = {}): Promise<string> {
  if (env.POD_NAMESPACE !== undefined && env.POD_NAMESPACE !== '') return env.POD_NAMESPACE;
  try {
    return (await readFile(join(serviceAccountFolder ?? mountedFolder, 'namespace'), 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return 'kube-system';
  }
}

async function serviceAccountCredentials(host: string, port: string, folder: string): Promise<Credentials> {
  const server = new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`);
  const forRequest = async () => {
    const [token, ca] = await Promise.all([readFile(join(folder, 'token'), 'utf8'), readFile(join(folder, 'ca.crt'))]);
    return { headers: { Authorization: `Bearer ${token.trim()}` }, tls: { ca } };
  };
  try {
    await forRequest();
  } catch (error) {
    throw new Error(`--source kube: the pod has no service account: ${String(error)}`, { cause: error });
  }
  return { server, forRequest };
}

async function kubeconfigCredentials(files: readonly string[]): Promise<Credentials> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    for (const [i, file] of files.entries()) {
      if (i === 0) {
        config.loadFromFile(file);
        continue;
      }
      const more = new KubeConfig();
      more.loadFromFile(file);
      config.mergeConfig(more);
    }
  } catch (error) {
    throw new Error(`the kubeconfig ${files.join(', ')} cannot be read: ${String(error)}`, { cause: error });
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null || !URL.canParse(cluster.server)) {
    const context = config.getCurrentContext();
    throw new Error(
      `the kubeconfig ${files.join(', ')} has no usable server in its current context ${JSON.stringify(context)}`,
    );
  }
  const server = new URL(cluster.server);
  if (server.protocol === 'http:' && !cluster.skipTLSVerify) {
    // The library refuses plain HTTP unless told; there is no certificate to verify there.
    const user = config.getCurrentUser();
    config.loadFromClusterAndUser({ ...cluster, skipTLSVerify: true }, user ?? { name: 'nobody' });
  }
  return {
    server,
    async forRequest() {
      const options: RequestOptions = { headers: {} };
      await config.applyToHTTPSOptions(options);
      const { auth, ca, cert, key, servername, rejectUnauthorized } = options;
      const headers = options.headers as Record<string, string>;
      return { headers, tls: { auth, ca, cert, key, servername, rejectUnauthorized } };
    },
  };
}
