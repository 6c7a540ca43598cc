// The globals that browsers and Node share, and no more: core has no DOM.

type BufferSource = ArrayBufferView<ArrayBuffer> | ArrayBuffer;
type KeyUsage = "encrypt" | "decrypt" | "sign" | "verify" | "deriveKey" | "deriveBits" | "wrapKey" | "unwrapKey";

interface CryptoKey {
  readonly type: "secret" | "private" | "public";
  readonly extractable: boolean;
}
interface CryptoKeyPair {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}
type Algorithm =
  | string
  | {
      name: string;
      hash?: string;
      iv?: BufferSource;
      additionalData?: BufferSource;
      salt?: BufferSource;
      info?: BufferSource;
      iterations?: number;
      length?: number;
      modulusLength?: number;
      publicExponent?: Uint8Array<ArrayBuffer>;
    };

interface JsonWebKey {
  kty?: string;
  n?: string;
  e?: string;
  x?: string;
}

interface SubtleCrypto {
  digest: (algorithm: string, data: BufferSource) => Promise<ArrayBuffer>;
  importKey(
    format: "raw" | "pkcs8" | "spki",
    data: BufferSource,
    algorithm: Algorithm,
    extractable: boolean,
    usages: readonly KeyUsage[],
  ): Promise<CryptoKey>;
  importKey(format: "jwk", key: JsonWebKey, algorithm: Algorithm, extractable: boolean, usages: readonly KeyUsage[]): Promise<CryptoKey>;
  exportKey(format: "raw" | "pkcs8" | "spki", key: CryptoKey): Promise<ArrayBuffer>;
  exportKey(format: "jwk", key: CryptoKey): Promise<JsonWebKey>;
  generateKey: (algorithm: Algorithm, extractable: boolean, usages: readonly KeyUsage[]) => Promise<CryptoKeyPair>;
  deriveBits: (algorithm: Algorithm, key: CryptoKey, bits: number) => Promise<ArrayBuffer>;
  sign: (algorithm: Algorithm, key: CryptoKey, data: BufferSource) => Promise<ArrayBuffer>;
  verify: (algorithm: Algorithm, key: CryptoKey, signature: BufferSource, data: BufferSource) => Promise<boolean>;
  encrypt: (algorithm: Algorithm, key: CryptoKey, data: BufferSource) => Promise<ArrayBuffer>;
  decrypt: (algorithm: Algorithm, key: CryptoKey, data: BufferSource) => Promise<ArrayBuffer>;
}
declare const crypto: {
  readonly subtle: SubtleCrypto;
  getRandomValues: (array: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
  randomUUID: () => string;
};

declare class TextEncoder {
  encode: (text: string) => Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode: (bytes: BufferSource) => string;
}
declare function atob(text: string): string;
declare function btoa(text: string): string;
declare class URLSearchParams {
  constructor(fields?: Record<string, string>);
  toString: () => string;
}
declare class URL {
  static canParse: (address: string) => boolean;
  constructor(address: string);
  readonly protocol: string;
  readonly href: string;
  readonly host: string;
  readonly pathname: string;
}
declare class AbortSignal {
  readonly aborted: boolean;
  addEventListener: (event: "abort", listener: () => void, options?: { once?: boolean }) => void;
  removeEventListener: (event: "abort", listener: () => void) => void;
}
declare class AbortController {
  readonly signal: AbortSignal;
  abort: () => void;
}
declare function structuredClone<T>(value: T): T;
declare function queueMicrotask(then: () => void): void;
