import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Result from "effect/Result"

/**
 * Parameters of statements. Each says its type: left to guess, the driver would prepare a statement once for small and
 * once for large numbers, and could not send an array of nothing but nulls.
 */
export type Parameter = PgTypes.Parameter

const array =
  (elementOid: number) =>
  (values: ReadonlyArray<unknown>): Parameter =>
    // Fails only for a type that the driver does not know.
    Result.getOrThrow(PgTypes.array(values, elementOid))

export const text = PgTypes.text
export const int = (value: number): Parameter => PgTypes.int8(BigInt(value))
export const number = PgTypes.float8
export const boolean = PgTypes.bool

export const texts: (values: ReadonlyArray<string | null>) => Parameter = array(PgTypes.OID.text)
export const numbers: (values: ReadonlyArray<number>) => Parameter = array(PgTypes.OID.float8)
export const booleans: (values: ReadonlyArray<boolean>) => Parameter = array(PgTypes.OID.bool)
/** Epoch milliseconds; infinities are times too. */
export const times: (values: ReadonlyArray<number>) => Parameter = array(PgTypes.OID.timestamptz)

/** What PostgreSQL can hold of time, in epoch milliseconds: from 4713 BC to the last day that a date can name. */
const firstTime = -210_866_803_200_000
const lastTime = 8.64e15

export const inRange = (millis: number): number => Math.min(Math.max(millis, firstTime), lastTime)

/** A duration in milliseconds. Beyond this there is no time that it could lead to. */
export const span = (millis: number): number => Math.min(millis, lastTime)
