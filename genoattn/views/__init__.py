"""The numbers behind pictures, as pandas frames and frozen dataclasses; nothing here draws.

``genoattn.plot`` draws them with matplotlib, ``genoattn.report`` in a page. Samples, sites and p-values are
thinned here where they are many, by a ``seed`` where at random.

- ``joint_states.joint_states(cohort, row, manifest, seed=0, max_points=2000) -> JointStates``:
  ``frame`` (state_1, .., n, mean, sd, se, lower, upper, additive), ``points`` (state_1, .., value),
  ``sites``, ``levels``, ``n_samples``, ``n_missing``, ``n_other``, ``rounded``, ``binary``
- ``genome.genome_layout(chrom, pos) -> GenomeLayout``: ``frame`` (chrom, offset, length, middle), ``end``,
  ``is_alignment``, ``place(chrom, pos)``; ``genome.pair_arcs(rows, layout)``: rows with x_1 < x_2
- ``marginal.marginal_effects(table or cohort) -> frame`` (site, chrom, pos, ref, state, effect, se, p_value,
  n_samples)
- ``quantiles.quantile_plot(p_values, n_tests=None, threshold=None, max_points=2000) -> QuantilePlot``:
  ``frame`` (rank, expected, observed, lower, upper), ``inflation``, ``inflation_p``, ``n_tests``, ``n_kept``
- ``performance.read_predictions(folder)``, ``held_out(predictions)``,
  ``performance_by_order(predictions, metric="r2", last=None, n_resamples=500, seed=0) -> Performance``:
  ``frame`` (order, value, lower, upper, gain, gain_lower, gain_upper), ``metric``, ``n_samples``, ``part``;
  ``interval_calibration(predictions) -> frame`` (nominal, share, lower, upper, n);
  ``reliability(predictions, n_bins=10) -> frame`` (predicted, share, lower, upper, n);
  ``observed_predicted(predictions, max_points=2000, seed=0) -> frame`` (IID, observed, predicted)
- ``variance.variance_by_order(components, performance=None) -> frame`` (order, variance, share_of_model,
  share_of_phenotype, gain, gain_lower, gain_upper)
- ``landscape.site_matrix(table, value="effect", how="strongest" or "rms") -> frame``;
  ``landscape.mutations_carried(cohort, manifest=None) -> frame`` (n_mutations, n, mean, sd, q05, .., q95)
- ``signals_near.credible_pairs(signals, sites=()) -> frame`` (signal, site_1, site_2, probability);
  ``signals_near.site_positions(sites) -> frame`` (site, chrom, pos);
  ``signals_near.pairs_near(signal, positions, credible, ranking=None, cohort=None, window=1_000_000)
  -> frame`` (site_1, pos_1, site_2, pos_2, credible, ranking, p_value, is_lead)
"""
