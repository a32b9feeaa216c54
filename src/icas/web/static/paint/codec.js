/** Decoding of what the server sends: base64, gzip, packed bits, label maps. */

/**
 * @param {string} text base64
 * @returns {Uint8Array}
 */
export function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/**
 * @param {string} text base64 of gzip
 * @returns {Promise<ArrayBuffer>}
 */
export async function unzipped(text) {
  const Stream = /** @type {any} */ (globalThis).DecompressionStream;
  const stream = new Blob([/** @type {any} */ (bytesOf(text))]).stream();
  return new Response(stream.pipeThrough(new Stream("gzip"))).arrayBuffer();
}

/**
 * Bits of a mask as bytes 0 and 1; each packed row begins with a byte, its first bit is the highest.
 * @param {Uint8Array} packed
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array}
 */
export function unpackedBits(packed, width, height) {
  const bits = new Uint8Array(width * height);
  const row = Math.ceil(width / 8);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      bits[y * width + x] = (packed[y * row + (x >> 3)] >> (7 - (x & 7))) & 1;
    }
  }
  return bits;
}

/**
 * @param {ArrayBuffer} buffer
 * @param {16 | 32} bits
 * @returns {Uint16Array | Uint32Array}
 */
export function labelsOf(buffer, bits) {
  return bits === 32 ? new Uint32Array(buffer) : new Uint16Array(buffer);
}
