/** How the CRCs of a plain blob are cut into rows (format: Blob): 16,384 CRC-32 of 4 bytes each. */
export const crcBytes = 4;
export const crcsPerRow = 16_384;
export const blobCrcBytesPerRow = crcBytes * crcsPerRow;
