/**
 * The text of one manifest file (YAML, so JSON too; several documents; `kind: List` as kubectl prints it), read into
 * validated objects and problems with their lines.
 * Holds: whatever the text, the answer is objects and problems, never an exception; aliases cannot blow up.
 */

import {
  Composer,
  isNode,
  isScalar,
  LineCounter,
  Parser,
  visit,
  type Document,
  type ParsedNode,
  type YAMLParseError,
} from 'yaml';
import { formatPath, type FieldProblem } from '../resources/problems.ts';
import { validateManifest, type ManifestIdentity, type Resource } from '../resources/resource.ts';
import { unreachable } from '../unreachable.ts';

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

/** @param pause is awaited after each document: a large file must not hold up everything else. */
export async function readManifestText(text: string, pause: () => Promise<void> | void): Promise<ManifestText> {
  const objects: PlacedResource[] = [];
  const problems: TextProblem[] = [];
  let sound = true;
  let number = 0;
  for (const { document, lines } of parseDocuments(text)) {
    const read = readDocument(document, ++number, lines);
    objects.push(...read.objects);
    problems.push(...read.problems);
    sound &&= read.sound;
    await pause();
  }
  return { objects, problems, sound };
}

type Path = readonly (string | number)[];
type ParsedDocument = Document.Parsed<ParsedNode>;

/** Document by document, as far as the text was read. */
function* parseDocuments(text: string): Generator<{ document: ParsedDocument; lines: LineCounter }> {
  const lines = new LineCounter();
  const tokens = new Parser(lines.addNewLine).parse(text);
  for (const document of new Composer<ParsedNode>().compose(tokens, false)) yield { document, lines };
}

function readDocument(document: ParsedDocument, number: number, lines: LineCounter): ManifestText {
  const objects: PlacedResource[] = [];
  const problems: TextProblem[] = [];
  let sound = true;
  const fault = (problem: Omit<TextProblem, 'document'>) => {
    sound = false;
    problems.push({ document: number, ...problem });
  };
  if (document.errors.length > 0) {
    // The first error is the cause; what follows it is the parser finding its way back.
    const [error] = document.errors;
    fault({ line: lines.linePos(error.pos[0]).line, reason: `not YAML: ${explainSyntax(error)}` });
    return { objects, problems, sound };
  }
  if (isScalar(document.contents) && document.contents.value === null) return { objects, problems, sound };
  const value = toValue(document);
  if ('reason' in value) {
    fault({ line: lineOf(document, [], lines), reason: value.reason });
    return { objects, problems, sound };
  }
  for (const { manifest, path } of manifestsIn(value.value)) {
    const validation = validateManifest(manifest);
    const line = lineOf(document, path, lines);
    switch (validation.kind) {
      case 'valid':
        objects.push({ resource: validation.resource, document: number, line });
        break;
      case 'notUsed':
        problems.push({ document: number, line, ...validation.identity, reason: validation.reason });
        break;
      case 'invalid':
        for (const problem of validation.problems) {
          fault({ ...validation.identity, ...placed(problem, path, document, lines) });
        }
        break;
      default:
        unreachable(validation);
    }
  }
  return { objects, problems, sound };
}

function explainSyntax({ code, message }: YAMLParseError): string {
  return code === 'RESOURCE_EXHAUSTION' ? 'nested too deeply' : withoutText(message);
}

/** The parser may quote what it stumbled over after a colon: that may be a password. The line is told. */
function withoutText(message: string): string {
  return message.replace(/: .*$/s, '');
}

function toValue(document: ParsedDocument): { readonly value: unknown } | { readonly reason: string } {
  // They are YAML 1.1's, Kubernetes' own tools differ on them, and they can blow up where aliases are counted.
  if (hasMergeKey(document)) return { reason: 'merge keys (<<) are not read' };
  try {
    return { value: document.toJS({ maxAliasCount }) };
  } catch (error) {
    if (error instanceof ReferenceError) return { reason: `not YAML: ${withoutText(error.message)}` };
    throw error;
  }
}

function hasMergeKey(document: ParsedDocument): boolean {
  let found = false;
  visit(document, {
    Pair(_, { key }) {
      if (!isScalar(key) || key.value !== '<<' || key.type !== 'PLAIN') return undefined;
      found = true;
      return visit.BREAK;
    },
  });
  return found;
}

/** The document itself, or the items of a List. */
function manifestsIn(value: unknown): { readonly manifest: unknown; readonly path: Path }[] {
  const list = value as { readonly apiVersion?: unknown; readonly kind?: unknown; readonly items?: unknown } | null;
  if (typeof list !== 'object' || list?.apiVersion !== 'v1' || list.kind !== 'List' || !Array.isArray(list.items)) {
    return [{ manifest: value, path: [] }];
  }
  return list.items.map((manifest: unknown, i) => ({ manifest, path: ['items', i] }));
}

function placed(problem: FieldProblem, above: Path, document: ParsedDocument, lines: LineCounter) {
  const path = [...above, ...problem.path];
  return {
    line: lineOf(document, path, lines),
    ...(path.length > 0 && { field: formatPath(path) }),
    reason: problem.reason,
  };
}

/** The line of the deepest node that the path leads to: a field that is missing has that of its parent. */
function lineOf(document: ParsedDocument, path: Path, lines: LineCounter): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node: unknown = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return lines.linePos(document.range[0]).line;
}
