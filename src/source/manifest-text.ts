/**
 * The text of one manifest file (YAML, so JSON too; several documents; `kind: List` as kubectl prints it), read into
 * validated objects and problems with their lines. Pure.
 * Holds: whatever the text, the answer is objects and problems, never an exception; aliases cannot blow up.
 */

import { isNode, LineCounter, parseAllDocuments, type Document, type ParsedNode } from 'yaml';
import { formatPath, type FieldProblem } from '../resources/problems.ts';
import { validateManifest, type ManifestIdentity, type Resource } from '../resources/resource.ts';

export interface ManifestText {
  readonly objects: readonly PlacedResource[];
  readonly problems: readonly TextProblem[];
  /** No fault in any document; a kind that is not used is none. */
  readonly sound: boolean;
}

export interface PlacedResource {
  readonly resource: Resource;
  /** From 1. */
  readonly document: number;
  readonly line: number;
}

export interface TextProblem extends ManifestIdentity {
  readonly document?: number;
  readonly line?: number;
  readonly field?: string;
  readonly reason: string;
}

/** How often the aliases of one document may be resolved: real manifests have a handful. */
const maxAliasCount = 100;

export function readManifestText(text: string): ManifestText {
  const objects: PlacedResource[] = [];
  const problems: TextProblem[] = [];
  let sound = true;
  const fault = (problem: TextProblem) => {
    sound = false;
    problems.push(problem);
  };
  const lines = new LineCounter();
  const documents = parseDocuments(text, lines);
  if (typeof documents === 'string') return { objects, problems: [{ reason: documents }], sound: false };

  for (const [index, document] of documents.entries()) {
    const place = { document: index + 1 };
    if (document.errors.length > 0) {
      // The first error is the cause; what follows it is the parser finding its way back.
      const [{ message, pos }] = document.errors;
      fault({ ...place, line: lines.linePos(pos[0]).line, reason: `not YAML: ${message}` });
      continue;
    }
    if (document.contents === null) continue;
    const value = toValue(document);
    const line = lineOf(document, [], lines);
    if ('reason' in value) {
      fault({ ...place, line, reason: value.reason });
      continue;
    }
    for (const { manifest, path } of manifestsIn(value.value)) {
      const validation = validateManifest(manifest);
      switch (validation.kind) {
        case 'valid':
          objects.push({ resource: validation.resource, ...place, line: lineOf(document, path, lines) });
          break;
        case 'notUsed':
          problems.push({
            ...place,
            line: lineOf(document, path, lines),
            ...validation.identity,
            reason: validation.reason,
          });
          break;
        case 'invalid':
          for (const problem of validation.problems) {
            fault({ ...place, ...validation.identity, ...placed(problem, path, document, lines) });
          }
          break;
        default:
          validation satisfies never;
      }
    }
  }
  return { objects, problems, sound };
}

type Path = readonly (string | number)[];

/** @returns the documents, or the reason why there are none. */
function parseDocuments(text: string, lineCounter: LineCounter): Document.Parsed[] | string {
  try {
    const documents = parseAllDocuments<ParsedNode>(text, { lineCounter, prettyErrors: false, merge: true });
    return 'empty' in documents ? [] : documents;
  } catch (error) {
    // The composer recurses; a few thousand brackets in a row end its stack.
    if (error instanceof RangeError) return 'not YAML: nested too deeply';
    throw error;
  }
}

function toValue(document: Document.Parsed): { readonly value: unknown } | { readonly reason: string } {
  try {
    return { value: document.toJS({ maxAliasCount }) };
  } catch (error) {
    if (error instanceof ReferenceError) return { reason: `not YAML: ${error.message}` };
    if (error instanceof RangeError) return { reason: 'not YAML: nested too deeply' };
    throw error;
  }
}

/** The document itself, or the items of a List. */
function manifestsIn(value: unknown): { readonly manifest: unknown; readonly path: Path }[] {
  const list = value as { readonly apiVersion?: unknown; readonly kind?: unknown; readonly items?: unknown } | null;
  if (typeof list !== 'object' || list?.apiVersion !== 'v1' || list.kind !== 'List' || !Array.isArray(list.items)) {
    return [{ manifest: value, path: [] }];
  }
  return list.items.map((manifest: unknown, i) => ({ manifest, path: ['items', i] }));
}

function placed(problem: FieldProblem, above: Path, document: Document.Parsed, lines: LineCounter) {
  const path = [...above, ...problem.path];
  return {
    line: lineOf(document, path, lines),
    ...(path.length > 0 && { field: formatPath(path) }),
    reason: problem.reason,
  };
}

/** The line of the deepest node that the path leads to: a field that is missing has that of its parent. */
function lineOf(document: Document.Parsed, path: Path, lines: LineCounter): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node: unknown = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return lines.linePos(document.range[0]).line;
}
