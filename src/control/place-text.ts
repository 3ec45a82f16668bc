/** Where a problem of the source is, as text. */

import type { SourceProblemStatus } from './model.ts';

/** `a.yaml document 2: spec.asNumber: `, or `BGPPeer/tor spec.asNumber: ` of an API server's object. */
export function placeOf({ file, document, kind, name, field }: SourceProblemStatus): string {
  const fieldText = field === undefined ? '' : ` ${field}:`;
  if (file !== undefined) return `${file}${document === undefined ? '' : ` document ${document}`}:${fieldText} `;
  if (kind === undefined || name === undefined) return '';
  return `${kind}/${name}${fieldText === '' ? ':' : fieldText} `;
}
