/** The program's version: the one of package.json, which the installed program does not carry (a test holds them equal). */

export const version = '0.1.0';
