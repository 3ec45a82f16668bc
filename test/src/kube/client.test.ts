/** How an API server is found and spoken to: kubeconfig, service account, TLS, tokens, errors. */

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KubeClient } from '../../../src/kube/client.ts';
import { ApiServer, type ApiServerOptions } from '../../kit/api-server.ts';
import { clientOf, node } from './kit.ts';

let server: ApiServer;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-kube-client-'));
  await serve();
});

afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

describe("a pod's service account", () => {
  test('TLS by the mounted CA, and a token that is read anew for every request', async () => {
    const { env } = await serveAsInCluster();
    write('token', 'first\n');
    const client = await KubeClient.open({ env, serviceAccountFolder: folder });
    await client.request('GET', '/api/v1/nodes');
    write('token', 'second');
    await client.request('GET', '/api/v1/nodes');
    expect(server.requests.map(({ token }) => token)).toEqual(['first', 'second']);
  });

  test("another CA than the server's is refused", async () => {
    const { env } = await serveAsInCluster();
    write('token', 'first');
    makeCertificate('other');
    write('ca.crt', readFileSync(join(folder, 'other.crt')));
    const client = await KubeClient.open({ env, serviceAccountFolder: folder });
    await expect(client.request('GET', '/api/v1/nodes')).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/^https:.* cannot be reached: .*(certificate|signed)/),
    });
  });

  test('a pod without one is told so', async () => {
    const env = { KUBERNETES_SERVICE_HOST: '::1' };
    await expect(KubeClient.open({ env, serviceAccountFolder: join(folder, 'none') })).rejects.toThrow(
      /^--source kube: the pod has no service account: .*ENOENT/,
    );
  });

  test('an IPv6 address of the service is fine', async () => {
    write('token', 'x');
    write('ca.crt', '');
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
    const client = await KubeClient.open({ env, serviceAccountFolder: folder });
    expect(client.server).toBe('https://[fd00::1]:6443');
  });
});

test('outside of a pod and without a kubeconfig the flags are named', async () => {
  await expect(KubeClient.open({ env: {} })).rejects.toThrow(/neither --kubeconfig nor \$KUBECONFIG names a file$/);
});

describe('a kubeconfig', () => {
  test('of the flag wins over that of the environment', async () => {
    server.store.put(node('a'));
    write('config', server.kubeconfig({ token: 'mine' }));
    const client = await KubeClient.open({ kubeconfig: join(folder, 'config'), env: { KUBECONFIG: '/nowhere' } });
    expect(await client.request('GET', '/api/v1/nodes/a')).toMatchObject({ metadata: { name: 'a' } });
    expect(server.requests[0].token).toBe('mine');
  });

  test('an exec plugin gives the token', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'by-plugin' },
    };
    write('plugin', `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`);
    chmodSync(join(folder, 'plugin'), 0o755);
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: join(folder, 'plugin'),
      interactiveMode: 'Never',
    };
    write('config', server.kubeconfig({ exec }));
    const client = await KubeClient.open({ env: { KUBECONFIG: join(folder, 'config') } });
    await client.request('GET', '/api/v1/nodes');
    expect(server.requests[0].token).toBe('by-plugin');
  });

  test('a plugin that fails is a fault of the credentials', async () => {
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: join(folder, 'missing'),
      interactiveMode: 'Never',
    };
    write('config', server.kubeconfig({ exec }));
    const client = await KubeClient.open({ env: { KUBECONFIG: join(folder, 'config') } });
    await expect(client.request('GET', '/api/v1/nodes')).rejects.toMatchObject({ kind: 'unauthorized' });
  });

  test.each([
    ['that is not there', undefined, /the kubeconfig .*config cannot be read: .*ENOENT/],
    ['that is no YAML', '{', /the kubeconfig .*config cannot be read/],
    [
      'without a current context',
      '{"clusters":[],"users":[],"contexts":[]}',
      /the kubeconfig .*config has no usable server/,
    ],
  ])('%s is refused', async (_, text, message) => {
    if (text !== undefined) write('config', text);
    await expect(KubeClient.open({ kubeconfig: join(folder, 'config') })).rejects.toThrow(message);
  });
});

describe('an answer', () => {
  test.each([
    [400, 'invalid', '400 Bad Request: no'],
    [401, 'unauthorized', '401 Unauthorized: no'],
    [403, 'forbidden', '403 Forbidden: no'],
    [404, 'notFound', '404 Not Found: no'],
    [409, 'conflict', '409 Conflict: no'],
    [410, 'expired', '410 Gone: no'],
    [418, 'invalid', '418: no'],
    [422, 'invalid', '422 Unprocessable Entity: no'],
    [429, 'serverFault', '429 Too Many Requests: no'],
    [500, 'serverFault', '500 Internal Server Error: no'],
    [599, 'serverFault', '599: no'],
  ])('%i is an error of kind %s', async (status, kind, message) => {
    server.inject({ kind: 'status', status, message: 'no' });
    await expect(clientOf(server).request('GET', '/api/v1/nodes')).rejects.toMatchObject({ kind, status, message });
  });

  test('that is not JSON is garbage', async () => {
    server.inject({ kind: 'garbage' });
    await expect(clientOf(server).request('GET', '/api/v1/nodes')).rejects.toMatchObject({ kind: 'garbage' });
  });

  test('that never comes, or stops in the middle, is given up', async () => {
    server.inject({ kind: 'hang', times: 1 });
    const get = () => clientOf(server).request('GET', '/api/v1/nodes', { idle: 50 });
    await expect(get()).rejects.toMatchObject({ kind: 'silent' });
    server.inject({ kind: 'slow', bytes: 20, rest: 5000, times: 1 });
    await expect(get()).rejects.toMatchObject({ kind: 'silent' });
  });

  test('that breaks off is an error that names the server', async () => {
    server.inject({ kind: 'cut', bytes: 20, times: 1 });
    const get = () => clientOf(server).request('GET', '/api/v1/nodes');
    await expect(get()).rejects.toMatchObject({ kind: 'unreachable', message: expect.stringContaining(server.url) });
    server.inject({ kind: 'reset', times: 1 });
    await expect(get()).rejects.toMatchObject({ kind: 'unreachable' });
    const client = clientOf(server);
    await server.stop();
    await expect(client.request('GET', '/api/v1/nodes')).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/^http:\/\/127.0.0.1:\d+ cannot be reached: .*ECONNREFUSED/),
    });
  });
});

describe('writing', () => {
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
  const peers = '/apis/godwit.dev/v1/bgppeers';
  const lease = (holderIdentity: string) => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'leader' },
    spec: { holderIdentity },
  });

  test('of two that create one is told 409, and of two that replace one version too', async () => {
    const client = clientOf(server);
    const create = (who: string) => client.request('POST', leases, { body: lease(who) });
    const created = (await create('a')) as { metadata: object };
    await expect(create('b')).rejects.toMatchObject({ kind: 'alreadyExists', status: 409 });
    const replace = (who: string) =>
      client.request('PUT', `${leases}/leader`, { body: { ...lease(who), metadata: created.metadata } });
    expect(await replace('a2')).toMatchObject({ spec: { holderIdentity: 'a2' } });
    await expect(replace('b2')).rejects.toMatchObject({ kind: 'conflict', status: 409 });
  });

  test('server-side apply: a field has one owner unless forced; what an owner says no more goes', async () => {
    installPeers();
    const client = clientOf(server);
    const apply = (fieldManager: string, spec: object, force?: string) =>
      client.request('PATCH', `${peers}/tor`, {
        query: { fieldManager, force },
        contentType: 'application/apply-patch+yaml',
        body: { apiVersion: 'godwit.dev/v1', kind: 'BGPPeer', metadata: { name: 'tor' }, spec },
      });
    await apply('one', { asNumber: 1, peerIP: '10.0.0.1' });
    await expect(apply('two', { asNumber: 2 })).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('conflict with "one": .spec.asNumber'),
    });
    expect(await apply('two', { asNumber: 2 }, 'true')).toMatchObject({ spec: { asNumber: 2, peerIP: '10.0.0.1' } });
    const after = (await apply('one', {})) as { spec: object };
    expect(after.spec).toEqual({ asNumber: 2 });
  });

  test('status is written only through its subresource, and a spec not through it', async () => {
    installPeers();
    server.store.put({
      apiVersion: 'godwit.dev/v1',
      kind: 'BGPPeer',
      metadata: { name: 'tor' },
      spec: { asNumber: 1 },
    });
    const client = clientOf(server);
    const body = { spec: { asNumber: 2 }, status: { conditions: [{ type: 'Accepted' }] } };
    const contentType = 'application/merge-patch+json';
    expect(await client.request('PATCH', `${peers}/tor/status`, { contentType, body })).toMatchObject({
      metadata: { generation: 1 },
      spec: { asNumber: 1 },
      status: body.status,
    });
    expect(await client.request('PATCH', `${peers}/tor`, { contentType, body: { ...body, status: {} } })).toMatchObject(
      {
        metadata: { generation: 2 },
        spec: { asNumber: 2 },
        status: body.status,
      },
    );
  });
});

function installPeers(): void {
  server.store.put({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'bgppeers.godwit.dev' },
    spec: {
      group: 'godwit.dev',
      names: { kind: 'BGPPeer', plural: 'bgppeers' },
      scope: 'Cluster',
      versions: [{ name: 'v1', served: true, subresources: { status: {} } }],
    },
  });
}

async function serve(options: ApiServerOptions = {}): Promise<void> {
  await server?.stop();
  server = new ApiServer(options);
  await server.start();
}

async function serveAsInCluster() {
  makeCertificate('ca');
  await serve({
    tls: { key: readFileSync(join(folder, 'ca.key'), 'utf8'), cert: readFileSync(join(folder, 'ca.crt'), 'utf8') },
  });
  const { hostname, port } = new URL(server.url);
  return { env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port } };
}

/** NAME.crt and NAME.key: signed by itself, for 127.0.0.1. */
function makeCertificate(name: string): void {
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      ...files,
      ...subject,
    ],
    { stdio: 'ignore' },
  );
}

function write(name: string, text: string | Buffer): void {
  writeFileSync(join(folder, name), text);
}
