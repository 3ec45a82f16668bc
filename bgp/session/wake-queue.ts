/**
 * Who wants to be woken when: a binary heap by time.
 * Holds: an item stands in it once with its earliest time; asking for a later time costs nothing, and the item, woken too
 * early, asks again.
 */

export interface Sleeper {
  /** Written by the queue only. */
  wakeAt: number;
}

interface Entry<T> {
  readonly at: number;
  readonly item: T;
}

export class WakeQueue<T extends Sleeper> {
  private readonly heap: Entry<T>[] = [];

  /** The earliest time; Infinity where nobody waits. */
  next(): number {
    while (this.heap.length > 0 && this.heap[0].item.wakeAt !== this.heap[0].at) this.pop();
    return this.heap.length === 0 ? Infinity : this.heap[0].at;
  }

  wake(item: T, at: number): void {
    if (at >= item.wakeAt) return;
    item.wakeAt = at;
    this.push({ at, item });
  }

  forget(item: T): void {
    item.wakeAt = Infinity;
  }

  /** @returns an item whose time has come, taken out; undefined where there is none. */
  take(now: number): T | undefined {
    if (this.next() > now || this.heap.length === 0) return undefined;
    const { item } = this.pop();
    item.wakeAt = Infinity;
    return item;
  }

  private push(entry: Entry<T>): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent].at <= entry.at) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  private pop(): Entry<T> {
    const { heap } = this;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].at < heap[child].at) child++;
      if (heap[child].at >= last.at) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
