import assert from "node:assert/strict"
import { test } from "node:test"
import { slug } from "../slug.mjs"

test("converts to lower case", () => assert.match(slug("Hello"), /^hello$/))
test("joins words with single dashes", () => assert.equal(slug("hello  wide world"), "hello-wide-world"))
test("removes all other characters", () => assert.equal(slug("What's up?"), "whats-up"))
