/** How many times as many cases random tests try, and how much longer they may take: 1 in CI, more in `test:soak`. */
export const soak = Number(process.env["BATON_TEST_SOAK"] ?? 1)
