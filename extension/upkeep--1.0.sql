\echo Use "CREATE EXTENSION upkeep" to load this file. \quit
