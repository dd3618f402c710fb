/** Makes ids from content, so that importing a source again finds the same tasks. */
export { canonicalJson, fingerprint, ofContent } from "@baton/adapters/internal/contentId"

/** The id of the nth task with the same content; the first is 1. */
export const ofOccurrence = (content: string, n: number): string => (n === 1 ? content : `${content}-${n}`)

/** A slot holds the two halves of the fingerprint and the number; it is free while the number is 0. */
const width = 3

/**
 * A compact map from fingerprints to positive numbers: one typed array with open addressing. It uses 12 bytes per slot; a
 * `Map` of strings uses about 150 bytes per entry. A million ids take less than 50 MB.
 */
export class FingerprintTable {
  private capacity = 1024
  private slots = new Uint32Array(this.capacity * width)
  private size = 0

  /** The number stored for a fingerprint of 16 hexadecimal digits, or 0. */
  get(fingerprint: string): number {
    const { high, low } = halves(fingerprint)
    return this.slots[this.find(high, low) + 2] ?? 0
  }

  /** Stores a number between 1 and 2^32 - 1. */
  set(fingerprint: string, value: number): void {
    const { high, low } = halves(fingerprint)
    this.put(high, low, value)
  }

  /** Adds 1 to the number and returns the sum. */
  increment(fingerprint: string): number {
    const { high, low } = halves(fingerprint)
    const value = (this.slots[this.find(high, low) + 2] ?? 0) + 1
    this.put(high, low, value)
    return value
  }

  private put(high: number, low: number, value: number): void {
    const slot = this.find(high, low)
    if (this.slots[slot + 2] === 0) {
      this.size++
      if (this.size > this.capacity * 0.7) {
        this.grow()
        this.put(high, low, value)
        return
      }
    }
    this.slots[slot] = high
    this.slots[slot + 1] = low
    this.slots[slot + 2] = value
  }

  /** The index of a fingerprint's slot, or of the free slot for it. */
  private find(high: number, low: number): number {
    const { capacity, slots } = this
    let slot = low % capacity
    for (;;) {
      const at = slot * width
      if (slots[at + 2] === 0 || (slots[at] === high && slots[at + 1] === low)) return at
      slot = (slot + 1) % capacity
    }
  }

  private grow(): void {
    const old = this.slots
    this.capacity *= 2
    this.slots = new Uint32Array(this.capacity * width)
    this.size = 0
    for (let at = 0; at < old.length; at += width) {
      const value = old[at + 2] ?? 0
      if (value !== 0) this.put(old[at] ?? 0, old[at + 1] ?? 0, value)
    }
  }
}

const halves = (fingerprint: string) => ({
  high: Number.parseInt(fingerprint.slice(0, 8), 16),
  low: Number.parseInt(fingerprint.slice(8), 16)
})
