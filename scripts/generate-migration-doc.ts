/** Writes the tables of docs/migrate.md anew, from src/migrate; the words before them stay. */

import { readFileSync, writeFileSync } from 'node:fs';
import { migrationTables } from '../src/migrate/tables.ts';

const page = new URL('../docs/migrate.md', import.meta.url);
const text = readFileSync(page, 'utf8');
writeFileSync(page, text.slice(0, text.indexOf("## What becomes of Calico's fields")) + migrationTables());
