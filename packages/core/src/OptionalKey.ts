/**
 * Keys of stored data that may be absent.
 *
 * @since 0.2.0
 */
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

/**
 * A key that is absent when there is no value. It also reads `null`, which earlier versions of Baton wrote instead, as
 * absent. A value that is `undefined` is written as absent.
 *
 * @category schemas
 * @since 0.2.0
 */
export const optionalNullOr = <S extends Schema.Constraint>(schema: S): optionalNullOr<S> =>
  Schema.optionalKey(Schema.NullOr(schema)).pipe(
    Schema.decodeTo(Schema.optional(Schema.toType(schema)), {
      decode: SchemaGetter.transformOptional(Option.filter(Predicate.isNotNullish)),
      encode: SchemaGetter.transformOptional(Option.filter(Predicate.isNotNullish))
    })
  )

/**
 * Type-level representation returned by `optionalNullOr`.
 *
 * @category models
 * @since 0.2.0
 */
export interface optionalNullOr<S extends Schema.Constraint> extends Schema.decodeTo<
  Schema.optional<Schema.toType<S>>,
  Schema.optionalKey<Schema.NullOr<S>>
> {
  readonly Rebuild: optionalNullOr<S>
}
