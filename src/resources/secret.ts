/**
 * Secret (v1): passwords of BGP sessions, by name and key.
 * Holds: no problem that is reported holds a value; labels and annotations are not kept, for `kubectl apply` leaves a copy
 * of the values there; what comes out is valid itself, so that a state on disk can be read again.
 */

import { z } from 'zod';
import { namespacedObjectMeta, type DeepReadonly } from './define.ts';

/** Values never go into messages: zod's own would show them. */
const values = (problemOf: (value: unknown) => string | undefined) =>
  z
    .unknown()
    .optional()
    .superRefine((map, context) => {
      const refuse = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
      if (map === undefined) return;
      if (typeof map !== 'object' || map === null || Array.isArray(map)) refuse([], 'is not an object');
      else {
        for (const [key, value] of Object.entries(map)) {
          const problem = problemOf(value);
          if (problem !== undefined) refuse([key], problem);
        }
      }
    })
    .transform((map) => (map ?? {}) as Record<string, string>);

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export const secretSchema = z
  .object({
    apiVersion: z.literal('v1'),
    kind: z.literal('Secret'),
    metadata: namespacedObjectMeta().omit({ labels: true, annotations: true }),
    data: values((value) =>
      typeof value === 'string' && base64.test(withoutSpace(value)) ? undefined : 'is not base64',
    ),
    stringData: values((value) => (typeof value === 'string' ? undefined : 'is not a string (a number needs quotes)')),
  })
  .transform(({ apiVersion, kind, metadata, data, stringData }) => ({
    apiVersion,
    kind,
    metadata: {
      ...metadata,
      labels: {} as Record<string, string>,
      annotations: {} as Record<string, string>,
    },
    /** Key → base64; stringData wins over data. */
    data: { ...mapValues(data, withoutSpace), ...mapValues(stringData, encode) },
  }));

export type Secret = DeepReadonly<z.output<typeof secretSchema>>;

/** A key of a Secret: what `secretKeyRef` says. A password that stands in its place is not repeated. */
export const secretKeyRef = () =>
  z
    .strictObject(
      {
        secretKeyRef: z
          .strictObject({
            name: z.string().min(1).max(253).meta({ description: "The Secret's name." }),
            key: z.string().min(1).max(253).meta({ description: 'The key in its `data`.' }),
          })
          .meta({
            description: "A Secret in the agent's namespace; in a folder of manifests, the Secret of that name.",
          }),
      },
      {
        error: ({ code }) =>
          code === 'invalid_type'
            ? 'is written here; it belongs into a Secret: { secretKeyRef: { name, key } }'
            : undefined,
      },
    )
    .optional();

export type SecretKeyRef = NonNullable<z.output<ReturnType<typeof secretKeyRef>>>['secretKeyRef'];

/** @returns undefined: there is no such key. */
export function secretBytes({ data }: Secret, key: string): Uint8Array | undefined {
  return Object.hasOwn(data, key) ? Uint8Array.from(atob(data[key]), (byte) => byte.charCodeAt(0)) : undefined;
}

function withoutSpace(text: string): string {
  return text.replaceAll(/\s/g, '');
}

function encode(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function mapValues(map: Readonly<Record<string, string>>, change: (text: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(map).map(([key, text]) => [key, change(text)]));
}
