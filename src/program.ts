/** Where this program lies, compiled or not: to be started once more. */

import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

export const mainProgram = fileURLToPath(new URL(`main${extname(import.meta.url)}`, import.meta.url));
