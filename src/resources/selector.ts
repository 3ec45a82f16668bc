/**
 * The selector language of Calico, over labels: `role == 'tor' && !has(spare) || rack in {'a', 'b'}`.
 * Operators: == != in, not in, has(), contains, starts with, ends with, ! && || (), all().
 * Holds: a label that is missing makes == and in false, != and not in true.
 */

export type Labels = Readonly<Record<string, string>>;
export type LabelPredicate = (labels: Labels) => boolean;

/** The expression is not one; the message names the position (1-based, in characters). */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
  readonly position: number;

  constructor(reason: string, position: number) {
    super(`${reason} at position ${position}`);
    this.position = position;
  }
}

/** Bounds the recursion of the parser with it; Calico's bound too. */
export const longestSelector = 1024;

/** @throws SelectorError */
export function parseSelector(text: string): LabelPredicate {
  if (text.length > longestSelector) {
    throw new SelectorError(`longer than ${longestSelector} characters`, longestSelector + 1);
  }
  const tokens = tokenize(text);
  if (tokens[0].kind === 'end') throw new SelectorError('empty selector (all() selects everything)', 1);
  const parser = new Parser(tokens);
  return parser.parse();
}

type Token =
  | { readonly kind: 'symbol'; readonly text: string; readonly position: number }
  | { readonly kind: 'word'; readonly text: string; readonly position: number }
  | { readonly kind: 'string'; readonly text: string; readonly position: number }
  | { readonly kind: 'end'; readonly text: ''; readonly position: number };

const tokenPattern =
  /(?<space>\s+)|(?<symbol>==|!=|&&|\|\||[!(){},])|"(?<double>[^"]*)"|'(?<single>[^']*)'|(?<word>[A-Za-z0-9_./-]+)/y;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    tokenPattern.lastIndex = at;
    const groups = tokenPattern.exec(text)?.groups;
    const position = at + 1;
    if (groups === undefined) {
      const character = text[at];
      if (character === '"' || character === "'") throw new SelectorError('the string has no end', position);
      throw new SelectorError(`unexpected ${JSON.stringify(character)}`, position);
    }
    at = tokenPattern.lastIndex;
    if (groups.symbol !== undefined) tokens.push({ kind: 'symbol', text: groups.symbol, position });
    else if (groups.word !== undefined) tokens.push({ kind: 'word', text: groups.word, position });
    else if (groups.space === undefined) {
      tokens.push({ kind: 'string', text: groups.double ?? groups.single ?? '', position });
    }
  }
  tokens.push({ kind: 'end', text: '', position: text.length + 1 });
  return tokens;
}

/** Recursive descent: or ← and ← not ← primary. */
class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): LabelPredicate {
    const predicate = this.#or();
    if (this.#next.kind !== 'end') this.#fail('&&, || or the end');
    return predicate;
  }

  get #next(): Token {
    return this.#tokens[this.#at];
  }

  #or(): LabelPredicate {
    const terms = [this.#and()];
    while (this.#accept('||')) terms.push(this.#and());
    return terms.length === 1 ? terms[0] : (labels) => terms.some((term) => term(labels));
  }

  #and(): LabelPredicate {
    const terms = [this.#not()];
    while (this.#accept('&&')) terms.push(this.#not());
    return terms.length === 1 ? terms[0] : (labels) => terms.every((term) => term(labels));
  }

  #not(): LabelPredicate {
    let negated = false;
    while (this.#accept('!')) negated = !negated;
    const term = this.#primary();
    return negated ? (labels) => !term(labels) : term;
  }

  #primary(): LabelPredicate {
    if (this.#accept('(')) {
      const inner = this.#or();
      this.#expect(')');
      return inner;
    }
    const { kind, text } = this.#next;
    if (kind !== 'word') this.#fail('a label, has(), all() or (');
    this.#at++;
    if (text === 'all' && this.#accept('(')) {
      this.#expect(')');
      return () => true;
    }
    if (text === 'has' && this.#accept('(')) {
      const label = this.#label();
      this.#expect(')');
      return (labels) => valueOf(labels, label) !== undefined;
    }
    return this.#comparison(text);
  }

  #comparison(label: string): LabelPredicate {
    if (this.#accept('==')) {
      const wanted = this.#string();
      return (labels) => valueOf(labels, label) === wanted;
    }
    if (this.#accept('!=')) {
      const unwanted = this.#string();
      return (labels) => valueOf(labels, label) !== unwanted;
    }
    if (this.#acceptWord('in')) {
      const wanted = this.#set();
      return (labels) => {
        const value = valueOf(labels, label);
        return value !== undefined && wanted.has(value);
      };
    }
    if (this.#acceptWord('not')) {
      if (!this.#acceptWord('in')) this.#fail('"in" after "not"');
      const unwanted = this.#set();
      return (labels) => {
        const value = valueOf(labels, label);
        return value === undefined || !unwanted.has(value);
      };
    }
    if (this.#acceptWord('contains')) {
      const part = this.#string();
      return (labels) => valueOf(labels, label)?.includes(part) ?? false;
    }
    for (const side of ['starts', 'ends'] as const) {
      if (!this.#acceptWord(side)) continue;
      if (!this.#acceptWord('with')) this.#fail(`"with" after "${side}"`);
      const part = this.#string();
      return side === 'starts'
        ? (labels) => valueOf(labels, label)?.startsWith(part) ?? false
        : (labels) => valueOf(labels, label)?.endsWith(part) ?? false;
    }
    return this.#fail('==, !=, in, not in, contains, starts with or ends with');
  }

  #set(): ReadonlySet<string> {
    this.#expect('{');
    const values = new Set<string>();
    if (this.#accept('}')) return values;
    do values.add(this.#string());
    while (this.#accept(','));
    this.#expect('}');
    return values;
  }

  #label(): string {
    const { kind, text } = this.#next;
    if (kind !== 'word') this.#fail('a label');
    this.#at++;
    return text;
  }

  #string(): string {
    const { kind, text } = this.#next;
    if (kind !== 'string') this.#fail('a string in quotes');
    this.#at++;
    return text;
  }

  #accept(symbol: string): boolean {
    const found = this.#next.kind === 'symbol' && this.#next.text === symbol;
    if (found) this.#at++;
    return found;
  }

  #acceptWord(word: string): boolean {
    const found = this.#next.kind === 'word' && this.#next.text === word;
    if (found) this.#at++;
    return found;
  }

  #expect(symbol: string): void {
    if (!this.#accept(symbol)) this.#fail(`"${symbol}"`);
  }

  #fail(wanted: string): never {
    const { kind, text, position } = this.#next;
    throw new SelectorError(`expected ${wanted}, found ${kind === 'end' ? 'the end' : JSON.stringify(text)}`, position);
  }
}

/** Own properties only: a label may be called `constructor`. */
function valueOf(labels: Labels, label: string): string | undefined {
  return Object.hasOwn(labels, label) ? labels[label] : undefined;
}
