/** The lab folder that comes with Godwit. */

import { fileURLToPath } from 'node:url';

export const bundledLab = fileURLToPath(new URL('../../../deploy/lab/two-racks', import.meta.url));
