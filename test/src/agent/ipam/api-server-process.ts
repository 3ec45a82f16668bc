/**
 * A fake API server as a process of its own, for a network namespace: `api-server-process.ts KUBECONFIG MANIFEST…`; it listens
 * on $API_ADDRESS, 127.0.0.1 unless told.
 * Writes the kubeconfig; prints `CIDR NODE` of each IPAMBlock that is made.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { ApiServer } from '../../../kit/api-server.ts';

const [kubeconfig, ...manifests] = process.argv.slice(2);
const crds = fileURLToPath(new URL('../../../../deploy/crds/', import.meta.url));

const server = new ApiServer({ address: process.env.API_ADDRESS ?? '127.0.0.1' });
for (const name of readdirSync(crds)) server.store.put(parse(readFileSync(crds + name, 'utf8')) as object);
for (const manifest of manifests) server.store.put(JSON.parse(manifest) as object);
server.store.onEvent(({ type, object }) => {
  const { cidr, node } = (object as unknown as { spec: { cidr?: string; node?: string } }).spec ?? {};
  if (object.kind === 'IPAMBlock' && type === 'ADDED') process.stdout.write(`${cidr} ${node}\n`);
});
await server.start();
writeFileSync(kubeconfig, server.kubeconfig());
process.stdout.write('serving\n');
