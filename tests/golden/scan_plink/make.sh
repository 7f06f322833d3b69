#!/bin/sh
# Runs PLINK 1.9 on the files beside it; see README.md.
set -eu
for set in complete missing; do
  for trait in quantity disease; do
    plink1.9 --vcf $set.vcf --double-id --keep-allele-order --pheno traits.txt --pheno-name $trait --allow-no-sex \
      --epistasis --epi1 1 --out $set.$trait
  done
done
rm -f ./*.log ./*.nosex ./*.summary
