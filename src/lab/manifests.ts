/**
 * A lab folder: lab.yaml, and what the lab itself reads of the manifests (where nodes and pods are plugged in, how pools carry).
 * The agents read the same manifests for all the rest.
 * Holds: a lab is made only from manifests that are all valid.
 */

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import type { z } from 'zod';
import { explainIssue, formatProblem, toFieldProblems } from '../resources/problems.ts';
import { validateManifest } from '../resources/resource.ts';
import type { Resource } from '../resources/resource.ts';
import { labFileSchema } from './lab-file.ts';
import { LabFileError, toTopology } from './topology.ts';
import type { LabTopology } from './topology.ts';

/**
 * The topology of a lab folder.
 * @param name stands in for lab.yaml's own.
 * @throws LabFileError naming the file, the object and the field.
 */
export async function readLabFolder(folder: string, name?: string): Promise<LabTopology> {
  const file = parseOwnYaml(labFileSchema, await readText(join(folder, 'lab.yaml')), 'lab.yaml');
  const manifests = await readManifests(join(folder, 'manifests'));
  return toTopology(name === undefined ? file : { ...file, name }, manifests);
}

/** Reads a YAML file of the lab's own. @throws LabFileError naming the file and the field. */
export function parseOwnYaml<T>(schema: z.ZodType<T>, text: string, fileName: string): T {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new LabFileError(`${fileName}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  const result = schema.safeParse(value, { error: explainIssue, reportInput: true });
  if (result.success) return result.data;
  const [problem] = toFieldProblems(result.error, () => []);
  throw new LabFileError(`${fileName}: ${formatProblem(problem)}`);
}

async function readManifests(folder: string): Promise<Resource[]> {
  const resources: Resource[] = [];
  for (const fileName of (await readdir(folder)).filter((entry) => /\.ya?ml$/.test(entry)).sort()) {
    for (const document of parseAllDocuments(await readText(join(folder, fileName)))) {
      if (document.errors.length > 0) throw new LabFileError(`${fileName}: ${document.errors[0].message}`);
      const validation = validateManifest(document.toJS());
      if (validation.kind === 'valid') resources.push(validation.resource);
      if (validation.kind === 'invalid') {
        const { kind, name } = validation.identity;
        throw new LabFileError(`${fileName}: ${kind} ${name}: ${formatProblem(validation.problems[0])}`);
      }
    }
  }
  return resources;
}

/** @throws LabFileError */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new LabFileError(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
