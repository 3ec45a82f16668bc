/** A migration as text: what has no counterpart as comments at the top, then our objects. */

import { stringify } from 'yaml';
import type { Migration, Note } from './migration.ts';

const headings = {
  failed: 'Not converted. Mend these first:',
  lost: 'Without a counterpart, and what happens instead:',
  note: 'Worth knowing:',
} as const satisfies Record<Note['level'], string>;

export function printMigration({ manifests, notes }: Migration): string {
  const comments = (Object.keys(headings) as Note['level'][]).flatMap((level) => {
    const lines = notes.filter((note) => note.level === level).map((note) => `#   ${printNote(note)}`);
    return lines.length === 0 ? [] : [`# ${headings[level]}`, ...lines, '#'];
  });
  const head = comments.length === 0 ? '' : `${comments.slice(0, -1).join('\n')}\n`;
  // JSON's quotes where YAML needs any; no references: every document stands alone.
  const documents = manifests.map((manifest) => stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false }));
  return [head, ...documents].filter((part) => part !== '').join('---\n');
}

/** `BGPPeer/tor spec.reachableBy: no static route is made` on one line. */
export function printNote({ object, field, text }: Note): string {
  // The words come from whoever wrote the objects: no line of theirs may become one of ours.
  return `${object}${field === undefined ? '' : ` ${field}`}: ${text}`.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}
