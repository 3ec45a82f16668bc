/** Manifests of the story's pods, as kubectl takes them. */

import { images } from './images.ts';

/** A pod that answers HTTP on port 80 with its name; with a hostPort, on that port of its node too. */
export function webPod(name: string, node: string, hostPort?: number): object {
  const command = ['sh', '-c', `mkdir -p /www && echo ${name} >/www/index.html && exec httpd -f -p 80 -h /www`];
  const ports = hostPort === undefined ? [] : [{ containerPort: 80, hostPort }];
  return pod(name, node, { name: 'web', image: images.busybox, command, ports });
}

/** The smallest pod. */
export function idlePod(name: string, node: string, namespace?: string): object {
  return pod(name, node, { name: 'idle', image: images.pause }, namespace);
}

function pod(name: string, nodeName: string, container: object, namespace = 'default'): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name.replace(/-\d+$/, '') } },
    // No token: it would be a mount, and a Secret to be watched, of each of a hundred pods.
    spec: { nodeName, automountServiceAccountToken: false, terminationGracePeriodSeconds: 1, containers: [container] },
  };
}

export function toList(items: readonly object[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}
